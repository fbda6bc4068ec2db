import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

// The same compiler and settings as chain/compile.py: a test compares bytecode and ABI.
export default {
  solidity: {
    version: "0.8.37",
    path: require.resolve("solc/soljson.js"),
    npmFilesToBuild: ["@openzeppelin/contracts/access/manager/AccessManager.sol"],
    settings: {
      evmVersion: "cancun",
      optimizer: { enabled: true, runs: 1000 },
      viaIR: true,
      metadata: { bytecodeHash: "none", appendCBOR: false },
    },
  },
  test: {
    solidity: {
      fuzz: { runs: Number(process.env.FUZZ_RUNS ?? 1000) },
      // Each run is a walk of so many moves, looked at after each.
      invariant: { runs: Number(process.env.WALKS ?? 10), depth: 100 },
    },
  },
  paths: {
    sources: "./contracts",
    tests: { solidity: "./tests/contracts" },
    artifacts: "./build/hardhat/artifacts",
    cache: "./build/hardhat/cache",
  },
};
