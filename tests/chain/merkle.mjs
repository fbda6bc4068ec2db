// What OpenZeppelin's library makes of leaves: JSON on stdin, JSON on stdout.
// {values: [[index, id, record], …], hashes: [hash, …], chosen: [place, …]}
import { readFileSync } from "node:fs";
import { SimpleMerkleTree, StandardMerkleTree } from "@openzeppelin/merkle-tree";

const { values, hashes, chosen } = JSON.parse(readFileSync(0, "utf8"));
const described = (tree) => ({
  root: tree.root,
  proofs: chosen.map((place) => tree.getProof(place)),
  multi: tree.getMultiProof(chosen),
});
const standard = StandardMerkleTree.of(values, ["uint256", "bytes32", "bytes32"]);
process.stdout.write(
  JSON.stringify({
    standard: { ...described(standard), leaves: values.map((value) => standard.leafHash(value)) },
    simple: described(SimpleMerkleTree.of(hashes)),
  }),
);
