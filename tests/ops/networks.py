"""Published networks as layers, for counting and receptive fields."""

from dataclasses import replace

from pellucid.ops.layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Branches,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
)


def conv_bn(c_in: int, c_out: int, k: int, s: int = 1, p: int | None = None) -> tuple:
    return Conv2d(c_in, c_out, k, s, k // 2 if p is None else p, bias=False), BatchNorm2d(c_out)


COURSE_NET = (
    Conv2d(3, 6, 5),
    ReLU(),
    MaxPool2d(2),
    Conv2d(6, 16, 5),
    ReLU(),
    MaxPool2d(2),
    Flatten(),
    Linear(400, 120),
    ReLU(),
    Linear(120, 84),
    ReLU(),
    Linear(84, 10),
)
LENET = (
    Conv2d(1, 6, 5, padding=2),
    AvgPool2d(2),
    Conv2d(6, 16, 5),
    AvgPool2d(2),
    Flatten(),
    Linear(400, 120),
    Linear(120, 84),
    Linear(84, 10),
)


def vgg16_features() -> tuple:
    found, channels = [], 3
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            found += [Conv2d(channels, width, 3, padding=1), ReLU()]
            channels = width
        found.append(MaxPool2d(2))
    return tuple(found)


def vgg16() -> tuple:
    return (*vgg16_features(), Flatten(), Linear(25088, 4096), ReLU(), Linear(4096, 4096), ReLU(), Linear(4096, 1000))


def alexnet() -> tuple:
    return (
        Conv2d(3, 64, 11, 4, 2),
        MaxPool2d(3, 2),
        Conv2d(64, 192, 5, padding=2),
        MaxPool2d(3, 2),
        Conv2d(192, 384, 3, padding=1),
        Conv2d(384, 256, 3, padding=1),
        Conv2d(256, 256, 3, padding=1),
        MaxPool2d(3, 2),
        AdaptiveAvgPool2d(6),
        Flatten(),
        Linear(9216, 4096),
        Linear(4096, 4096),
        Linear(4096, 1000),
    )


def fcn_alexnet() -> tuple:
    """Caffe's AlexNet, whose filters are in two groups, as FCN has it: convolutions to the end, 21 classes."""
    return (
        Conv2d(3, 96, 11, 4),
        Conv2d(96, 256, 5, padding=2, groups=2),
        Conv2d(256, 384, 3, padding=1),
        Conv2d(384, 384, 3, padding=1, groups=2),
        Conv2d(384, 256, 3, padding=1, groups=2),
        Conv2d(256, 4096, 6),
        Conv2d(4096, 4096, 1),
        Conv2d(4096, 21, 1),
    )


STAGES = {
    18: (False, (2, 2, 2, 2)),
    34: (False, (3, 4, 6, 3)),
    50: (True, (3, 4, 6, 3)),
    101: (True, (3, 4, 23, 3)),
    152: (True, (3, 8, 36, 3)),
}


def resnet_stem() -> tuple:
    return (*conv_bn(3, 64, 7, 2), ReLU(), MaxPool2d(3, 2, 1))


def block(c_in: int, width: int, stride: int, *, bottleneck: bool) -> Branches:
    """With the projection where the shape changes; the stride in the 3x3 convolution."""
    c_out = 4 * width if bottleneck else width
    if bottleneck:
        path = (*conv_bn(c_in, width, 1), *conv_bn(width, width, 3, stride), *conv_bn(width, c_out, 1))
    else:
        path = (*conv_bn(c_in, width, 3, stride), *conv_bn(width, width, 3))
    return Branches((path, conv_bn(c_in, c_out, 1, stride) if stride > 1 or c_in != c_out else ()))


def resnet_stages(depth: int) -> list[tuple]:
    """[stem, layer1, …, layer4]"""
    bottleneck, depths = STAGES[depth]
    found, channels = [resnet_stem()], 64
    for stage, blocks in enumerate(depths):
        layer, width = [], 64 * 2**stage
        for place in range(blocks):
            layer.append(block(channels, width, 2 if stage and not place else 1, bottleneck=bottleneck))
            channels = 4 * width if bottleneck else width
        found.append(tuple(layer))
    return found


def resnet(depth: int) -> tuple:
    stages = tuple(layer for stage in resnet_stages(depth) for layer in stage)
    return (*stages, AdaptiveAvgPool2d(1), Flatten(), Linear(2048 if STAGES[depth][0] else 512, 1000))


def fcn_head(channels: int) -> tuple:
    """torchvision's, for 21 classes."""
    return (*conv_bn(channels, channels // 4, 3), ReLU(), Conv2d(channels // 4, 21, 1))


def fcn_resnet(depth: int) -> tuple:
    return (*resnet(depth)[:-3], *fcn_head(2048))


def cifar_resnet_trunk(depth: int, *, projection: bool) -> tuple:
    found, channels = [*conv_bn(3, 16, 3)], 16
    for stage in range(3):
        for place in range((depth - 2) // 6):
            width, stride = 16 * 2**stage, 2 if stage and not place else 1
            path = (*conv_bn(channels, width, 3, stride), *conv_bn(width, width, 3))
            if projection or stride == 1:
                found.append(Branches((path, conv_bn(channels, width, 1, stride) if stride > 1 else ())))
            else:  # shortcut A: subsampled, its missing channels zero; without a parameter
                found.append(Branches((path,)))
            channels = width
    return tuple(found)


def cifar_resnet(depth: int, *, projection: bool = False) -> tuple:
    return (*cifar_resnet_trunk(depth, projection=projection), AdaptiveAvgPool2d(1), Flatten(), Linear(64, 10))


def slim_resnet(depth: int) -> list[tuple]:
    """TF-slim's: the stride in the last unit of a block. [stem, block1, …, block4]"""
    found, channels = [resnet_stem()], 64
    for stage, blocks in enumerate(STAGES[depth][1]):
        layer, width = [], 64 * 2**stage
        for place in range(blocks):
            last = stage < 3 and place == blocks - 1
            layer.append(block(channels, width, 2 if last else 1, bottleneck=True))
            channels = 4 * width
        found.append(tuple(layer))
    return found


def path(*steps: tuple) -> tuple:
    """Convolutions of one channel, (k, s) or (k, s, 'valid') or ((kh, kw), s), padded by half unless said otherwise."""
    found = []
    for k, s, *valid in steps:
        kernel = k if isinstance(k, tuple) else (k, k)
        padding = 0 if valid else tuple(one // 2 for one in kernel)
        found.append(Conv2d(1, 1, kernel, s, padding))
    return tuple(found)


def mixed(*paths: tuple) -> Branches:
    return Branches(tuple(path(*steps) for steps in paths), "concat")


V = "valid"


def inception_v4() -> tuple:
    """Szegedy et al. 2016, as TF-slim has it; pools are (k, s) like convolutions, which see the same."""
    a = mixed(((1, 1),), ((1, 1), (3, 1)), ((1, 1), (3, 1), (3, 1)), ((3, 1), (1, 1)))
    b = mixed(
        ((1, 1),),
        ((1, 1), ((1, 7), 1), ((7, 1), 1)),
        ((1, 1), ((7, 1), 1), ((1, 7), 1), ((7, 1), 1), ((1, 7), 1)),
        ((3, 1), (1, 1)),
    )
    c = mixed(
        ((1, 1),),
        ((1, 1), ((1, 3), 1)),
        ((1, 1), ((3, 1), 1)),
        ((1, 1), ((3, 1), 1), ((1, 3), 1), ((1, 3), 1)),
        ((1, 1), ((3, 1), 1), ((1, 3), 1), ((3, 1), 1)),
        ((3, 1), (1, 1)),
    )
    return (
        *path((3, 2, V), (3, 1, V), (3, 1)),
        mixed(((3, 2, V),), ((3, 2, V),)),
        mixed(((1, 1), (3, 1, V)), ((1, 1), ((1, 7), 1), ((7, 1), 1), (3, 1, V))),
        mixed(((3, 2, V),), ((3, 2, V),)),
        *[a] * 4,
        mixed(((3, 2, V),), ((1, 1), (3, 1), (3, 2, V)), ((3, 2, V),)),
        *[b] * 7,
        mixed(((1, 1), (3, 2, V)), ((1, 1), ((1, 7), 1), ((7, 1), 1), (3, 2, V)), ((3, 2, V),)),
        *[c] * 3,
    )


def inception_resnet_v2() -> tuple:
    a = mixed((), ((1, 1),), ((1, 1), (3, 1)), ((1, 1), (3, 1), (3, 1)))
    b = mixed((), ((1, 1),), ((1, 1), ((1, 7), 1), ((7, 1), 1)))
    c = mixed((), ((1, 1),), ((1, 1), ((1, 3), 1), ((3, 1), 1)))
    return (
        *path((3, 2, V), (3, 1, V), (3, 1), (3, 2, V), (1, 1, V), (3, 1, V), (3, 2, V)),
        mixed(((1, 1),), ((1, 1), (5, 1)), ((1, 1), (3, 1), (3, 1)), ((3, 1), (1, 1))),
        *[a] * 10,
        mixed(((3, 2, V),), ((1, 1), (3, 1), (3, 2, V)), ((3, 2, V),)),
        *[b] * 20,
        mixed(((1, 1), (3, 2, V)), ((1, 1), (3, 2, V)), ((1, 1), (3, 1), (3, 2, V)), ((3, 2, V),)),
        *[c] * 10,
    )


def googlenet() -> tuple:
    """Up to its last inception block; an inception's longest path is its 5x5."""
    block_ = mixed(((1, 1),), ((1, 1), (3, 1)), ((1, 1), (5, 1)), ((3, 1), (1, 1)))
    return (
        *path((7, 2), (3, 2), (1, 1), (3, 1), (3, 2)),
        *[block_] * 2,
        *path((3, 2)),
        *[block_] * 5,
        *path((3, 2)),
        *[block_] * 2,
    )


def mobilenet_v1() -> tuple:
    strides = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
    return path((3, 2), *(step for s in strides for step in ((3, s), (1, 1))))


def yolo_v1() -> tuple:
    """The 24 convolutions of Redmon et al. 2016, figure 3, with their pools."""
    found, channels = [], 3

    def add(*layers: tuple[int, int] | tuple[int, int, int] | str) -> None:
        nonlocal channels
        for one in layers:
            if one == "pool":
                found.append(MaxPool2d(2))
                continue
            k, width, stride = (*one, 1)[:3]
            found.append(Conv2d(channels, width, k, stride, k // 2))
            channels = width

    add((7, 64, 2), "pool", (3, 192), "pool", (1, 128), (3, 256), (1, 256), (3, 512), "pool")
    add(*[(1, 256), (3, 512)] * 4, (1, 512), (3, 1024), "pool")
    add(*[(1, 512), (3, 1024)] * 2, (3, 1024), (3, 1024, 2), (3, 1024), (3, 1024))
    return tuple(found)


def yolo_v1_whole() -> tuple:
    return (*yolo_v1(), Flatten(), Linear(50176, 4096), Linear(4096, 1470))


def yolo_v1_normalised() -> tuple:
    """The same with batch norm in place of the biases of its convolutions."""
    found = [
        part
        for one in yolo_v1_whole()
        for part in ((replace(one, bias=False), BatchNorm2d(one.out_channels)) if isinstance(one, Conv2d) else (one,))
    ]
    return tuple(found)
