// OpenZeppelin's tree of a cohort: FILE holds 64 bytes a leaf, id and record. Prints JSON.
import { readFileSync } from "node:fs";
import { StandardMerkleTree } from "@openzeppelin/merkle-tree";

const [file, proofs] = process.argv.slice(2);
const bytes = readFileSync(file);
const values = [];
for (let place = 0; 64 * place < bytes.length; place++) {
  const at = 64 * place;
  const word = (from) => "0x" + bytes.toString("hex", from, from + 32);
  values.push([place, word(at), word(at + 32)]);
}
const started = performance.now();
const tree = StandardMerkleTree.of(values, ["uint256", "bytes32", "bytes32"]);
const found = [];
for (let place = 0; place < Math.min(Number(proofs), values.length); place++) {
  found.push(tree.getProof(place));
}
const seconds = (performance.now() - started) / 1000;
process.stdout.write(JSON.stringify({ seconds, root: tree.root, proof: found[0] }));
