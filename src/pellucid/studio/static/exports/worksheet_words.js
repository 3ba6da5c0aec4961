// @ts-check
/** What a worksheet says, in English and French. */

/** @type {Record<string, [string, string]>} */
const WORDS = {
  "title": ["Worksheet {seed}", "Feuille d’exercices {seed}"],
  "key": ["Answers to worksheet {seed}", "Solutions de la feuille {seed}"],
  "name": ["Name", "Nom"], "date": ["Date", "Date"],
  "given": ["Given", "Données"],
  "indices": ["Indices count from 0: X[channel, row, column], W[filter, channel, row, column].", "Les indices partent de 0 : X[canal, ligne, colonne], W[filtre, canal, ligne, colonne]."],
  "indices.transposed": ["Indices count from 0: X[channel, row, column], W[input channel, output channel, row, column].", "Les indices partent de 0 : X[canal, ligne, colonne], W[canal d’entrée, canal de sortie, ligne, colonne]."],
  "indices.plain": ["Indices count from 0: X[channel, row, column].", "Les indices partent de 0 : X[canal, ligne, colonne]."],
  "flip": ["It is a true convolution: the filter is turned by 180° before it is laid on.", "C’est une vraie convolution : le filtre est tourné de 180° avant d’être posé."],
  "ones": ["∂L/∂Y is 1 everywhere.", "∂L/∂Y vaut 1 partout."],
  "zeros": ["The padding is zeros.", "La marge est faite de zéros."],
  "reflect": ["The padding mirrors the input without repeating its border.", "La marge est le reflet de l’entrée, sans répéter le bord."],
  "replicate": ["The padding repeats the border.", "La marge répète le bord."],
  "circular": ["The padding goes on at the other side.", "La marge reprend de l’autre côté."],
  "infinity": ["A padded cell is −∞ and never wins.", "Une case de marge vaut −∞ et ne gagne jamais."],
  "average.pads": ["A padded cell is 0, and it counts in the mean.", "Une case de marge vaut 0 et compte dans la moyenne."],
  "average.real": ["A padded cell does not count in the mean.", "Une case de marge ne compte pas dans la moyenne."],
  "size": ["What is the shape of the output?", "Quelle est la forme de la sortie ?"],
  "size_other": ["What would the shape of the output be with stride={stride}, all else as it is?", "Quelle serait la forme de la sortie avec stride={stride}, sans rien changer d’autre ?"],
  "size_dilated": ["What would the shape of the output be with dilation={dilation} and padding=0?", "Quelle serait la forme de la sortie avec dilation={dilation} et padding=0 ?"],
  "parameters": ["How many parameters does the layer have?", "Combien de paramètres la couche a-t-elle ?"],
  "value": ["What is Y[{index}]?", "Combien vaut Y[{index}] ?"],
  "term": ["Y[{index}] is a sum of products. How much does the product of W[{weight}] add to it?", "Y[{index}] est une somme de produits. Combien y apporte le produit de W[{weight}] ?"],
  "grad_x": ["What is ∂L/∂X[{index}]?", "Combien vaut ∂L/∂X[{index}] ?"],
  "grad_weight": ["What is ∂L/∂W[{index}]?", "Combien vaut ∂L/∂W[{index}] ?"],
  "grad_bias": ["What is ∂L/∂b[{index}]?", "Combien vaut ∂L/∂b[{index}] ?"],
  "fan_out": ["How many outputs is X[{index}] used by?", "À combien de sorties X[{index}] sert-il ?"],
  "zero_outputs": ["How many numbers of the output are 0?", "Combien de nombres de la sortie valent 0 ?"],
  "foot": ["Made by pellucid. The same state and number give the same sheet.", "Fait par pellucid. Le même état et le même numéro redonnent la même feuille."],
};

/** @param {string} lang @returns {(key: string, values?: Record<string, string | number>) => string} */
export function speaker(lang) {
  const language = lang === "fr" ? 1 : 0;
  return (key, values = {}) => WORDS[key][language].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}
