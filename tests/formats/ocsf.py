"""Holds alerts to OCSF by the PyPI package ocsf-json-schema: `python ocsf.py FILE...`, one event a line in each file.

Each event is held to its class with the profiles that it names. The package builds schemas in which unknown attributes
are errors. A mutated event has to fail, or the check is no check. The last line is `N passed, N failed`.
"""

import json
import sys

from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

VERSION = "1.8.0"
CLASSES = {2004: "detection_finding", 4001: "network_activity", 1007: "process_activity", 1001: "file_activity"}

_schemas = OcsfJsonSchemaEmbedded(get_ocsf_schema(VERSION))
_validators = {}


def validator(event):
    name = CLASSES.get(event.get("class_uid"))
    profiles = event.get("metadata", {}).get("profiles", [])
    if name is None or not isinstance(profiles, list):
        return None
    key = (name, tuple(profiles))
    if key not in _validators:
        _validators[key] = Draft202012Validator(_schemas.get_class_schema(class_name=name, profiles=list(profiles)))
    return _validators[key]


def problems(event):
    known = validator(event)
    if known is None:
        return ["the class is none of ours"]
    found = [f"{error.json_path}: {error.message[:200]}" for error in known.iter_errors(event)]
    if found:
        return found
    if event["type_uid"] != event["class_uid"] * 100 + event["activity_id"]:
        found.append("type_uid does not follow from class and activity")
    if event["metadata"]["version"] != VERSION:
        found.append("another version of OCSF")
    if "security_control" not in event["metadata"]["profiles"] or "disposition_id" not in event:
        found.append("the profile security_control is missing")
    return found


def changed(event, path, value):
    event = json.loads(json.dumps(event))
    target = event
    for key in path[:-1]:
        target = target[key]
    if value is None:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return event


MUTATIONS = [
    (["class_uid"], 4002),
    (["activity_id"], "1"),
    (["severity_id"], 42),
    (["surprise"], True),
    (["time"], "2026-11-22"),
    (["metadata", "product"], None),
    (["device", "type_id"], None),
    (["action_id"], 17),
    (["metadata", "version"], "1.0.0"),
]


def main(files):
    passed = failed = 0
    sample = None
    for name in files:
        with open(name, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                event = json.loads(line)
                sample = sample or event
                found = problems(event)
                if found:
                    failed += 1
                    if failed <= 20:
                        print(f"ocsf: {name}:{number}: {'; '.join(found)}")
                else:
                    passed += 1
    for path, value in MUTATIONS:
        if problems(changed(sample, path, value)):
            passed += 1
        else:
            failed += 1
            print(f"ocsf: {'.'.join(path)} = {value!r} was let through")
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
