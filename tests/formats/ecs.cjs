// Holds alerts to the npm package @elastic/ecs: `node ecs.cjs MODULES FILE...`, one alert a line in each file.
//
// Unknown fields, values outside a field's list, scalars for lists and lists for scalars, and values of another type are
// errors. What Sentinel adds is listed below by name; nothing else passes. A mutated alert has to fail, or the check is
// no check. The last line is `N passed, N failed`.
"use strict";
const fs = require("fs");
const path = require("path");
const net = require("net");

const [modules, ...files] = process.argv.slice(2);
const { EcsFlat } = require(path.join(modules, "@elastic/ecs"));

const EXTENSIONS = {
  "process.args_truncated": "boolean",
  "file.write": "boolean",
  "file.create": "boolean",
};
// An ancestor is a process, told by the fields of one.
const ANCESTORS = "process.ancestors";
// Held to our own JSON Schema by `cargo test -p alerts`.
const OWN = "sentinel";

const NUMBERS = new Set(["long", "integer", "short", "byte", "scaled_float", "float", "double"]);

function typeOf(type, value) {
  if (NUMBERS.has(type)) return typeof value === "number";
  if (type === "boolean") return typeof value === "boolean";
  if (type === "date") return typeof value === "string" && !Number.isNaN(Date.parse(value));
  if (type === "ip") return typeof value === "string" && net.isIP(value) !== 0;
  if (["keyword", "constant_keyword", "wildcard", "text", "match_only_text"].includes(type)) return typeof value === "string";
  return true;
}

function leaf(name, value, problems) {
  const type = EXTENSIONS[name];
  if (type) {
    if (typeof value !== type) problems.push(`${name} has a value of the wrong type`);
    return;
  }
  const field = EcsFlat[name] ?? Object.values(EcsFlat).find((known) => known.flat_name === name);
  if (!field) {
    problems.push(`${name} is no field of ECS`);
    return;
  }
  const list = (field.normalize ?? []).includes("array");
  if (list !== Array.isArray(value)) {
    problems.push(`${name} must ${list ? "" : "not "}be a list`);
    return;
  }
  const allowed = (field.allowed_values ?? []).map((known) => known.name);
  for (const one of list ? value : [value]) {
    if (one === null || !typeOf(field.type, one)) problems.push(`${name} has a value of the wrong type: ${JSON.stringify(one)}`);
    if (allowed.length > 0 && !allowed.includes(one)) problems.push(`${name} has a value that ECS does not know: ${JSON.stringify(one)}`);
  }
}

function walk(prefix, object, problems) {
  for (const [key, value] of Object.entries(object)) {
    const name = prefix ? `${prefix}.${key}` : key;
    if (name === OWN) continue;
    if (name === ANCESTORS) {
      if (!Array.isArray(value)) problems.push(`${name} must be a list`);
      else value.forEach((ancestor) => walk("process", ancestor, problems));
    } else if (value !== null && typeof value === "object" && !Array.isArray(value)) {
      walk(name, value, problems);
    } else {
      leaf(name, value, problems);
    }
  }
}

function pairs(alert, problems) {
  const categories = EcsFlat["event.category"].allowed_values;
  const known = categories.filter((one) => (alert.event?.category ?? []).includes(one.name));
  const expected = new Set(known.flatMap((one) => one.expected_event_types ?? []));
  for (const type of alert.event?.type ?? []) {
    if (!expected.has(type)) problems.push(`event.type ${type} does not go with the categories`);
  }
}

function problemsOf(alert) {
  const problems = [];
  walk("", alert, problems);
  pairs(alert, problems);
  for (const name of ["@timestamp", "message", "ecs", "event", "sentinel"]) {
    if (!(name in alert)) problems.push(`${name} is missing`);
  }
  return problems;
}

const MUTATIONS = [
  (alert) => { alert.process = { argv: ["x"] }; },
  (alert) => { alert.event.kind = "alarm"; },
  (alert) => { alert.event.category = alert.event.category[0]; },
  (alert) => { alert.event.type = ["deletion", "startup"]; },
  (alert) => { alert.destination = { ip: "203.0.113.7.1" }; },
  (alert) => { alert.rule = { name: ["a"] }; },
  (alert) => { alert.file = { writes: true }; },
  (alert) => { alert["@timestamp"] = "yesterday"; },
  (alert) => { alert.process = { pid: "1" }; },
];

let passed = 0;
let failed = 0;
const judge = (good, text) => {
  if (good) passed += 1;
  else { failed += 1; if (failed <= 20) console.log(`ecs: ${text}`); }
};
let sample;
for (const file of files) {
  const lines = fs.readFileSync(file, "utf8").split("\n").filter((line) => line !== "");
  lines.forEach((line, index) => {
    const problems = problemsOf(JSON.parse(line));
    judge(problems.length === 0, `${file}:${index + 1}: ${problems.join("; ")}`);
  });
  sample ??= lines[0];
}
MUTATIONS.forEach((mutate, index) => {
  const alert = JSON.parse(sample);
  mutate(alert);
  judge(problemsOf(alert).length > 0, `mutation ${index + 1} of an alert passed`);
});
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
