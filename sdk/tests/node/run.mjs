// Runs a Python script in a Python that is compiled to WebAssembly: node run.mjs PACKAGE SOURCES SCRIPT
import { readFileSync } from "node:fs";

const [name, sources, script] = process.argv.slice(2);
const { loadPyodide } = await import(name);
const python = await loadPyodide();
python.mountNodeFS("/sources", sources);
python.runPython('import sys; sys.path.insert(0, "/sources")');
python.runPython(readFileSync(script, "utf8"));
