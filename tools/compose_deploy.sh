#!/bin/sh
# Deploys the contracts and makes the homes of operator and relayer, once:
#
#     compose_deploy.sh RPC STORE HOMES
#
# CONSILIUM_COINS are what operator and relayer get for gas: 0 where gas is free.
# Stopped at any point, it goes on from there when it is run again.
set -eu
umask 077

export CONSILIUM_RPC="$1"
store=$2 homes=$3 coins=${CONSILIUM_COINS:-10}

[ -e "$homes/ready" ] && exit 0

if [ ! -e "$homes/operator/home.json" ]; then
  consilium --home "$homes/operator" participant init --role operator --name operator \
    --store "$store"
fi
if [ ! -e "$homes/deployment.json" ]; then
  consilium --home "$homes/operator" participant fund --coins "$coins"
  consilium --home "$homes/operator" chain deploy --token --out "$homes/deployment.json"
fi
if [ ! -e "$homes/relayer/home.json" ]; then
  consilium --home "$homes/relayer" participant init --role relayer --name relayer \
    --store "$store" --deployment "$homes/deployment.json"
fi
consilium --home "$homes/operator" participant fund --coins "$coins" "$homes/relayer/participant.json"
: > "$homes/ready"
