#!/bin/bash
# Two hosts on one machine: two network namespaces with a cable between them (a veth pair), one rank in each.
#
# sudo PATH="$PATH" benchmarks/hosts.sh -m pellucid train photos --out runs/hosts --batch 64 --threads 1
#
# No address of one host reaches the other but over the cable; loopback is each one's own.
set -eu
one=pellucid-one-$$ two=pellucid-two-$$ port=29400
trap 'ip netns delete $one; ip netns delete $two' EXIT

ip netns add $one
ip netns add $two
ip link add eth0 netns $one type veth peer name eth0 netns $two
for host in $one $two; do
    ip -n $host address add 10.77.0.$([ $host = $one ] && echo 1 || echo 2)/24 dev eth0
    ip -n $host link set lo up
    ip -n $host link set eth0 up
done

start() {
    # Both share a name, by which torchrun would not know which of them is to hold the rendezvous.
    GLOO_SOCKET_IFNAME=eth0 TORCH_CPP_LOG_LEVEL=ERROR OMP_NUM_THREADS=1 ip netns exec "$1" torchrun --nnodes 2 --nproc-per-node 1 \
        --rdzv-backend c10d --rdzv-endpoint 10.77.0.1:$port --rdzv-id $$ --rdzv-conf is_host="$2" \
        --local-addr "$3" "${@:4}"
}
start $one 1 10.77.0.1 "$@" &
first=$!
start $two 0 10.77.0.2 "$@"
wait $first
