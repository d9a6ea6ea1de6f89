"""Holds deploy/fluent-bit/fluent-bit.yaml to log lines of a real server, read from standard input.

Fluent Bit itself is in no Debian package. What its manual says of the plugins in use is done here: the file is YAML of
sections and keys that they have, every line goes through the parser, and no field has two types, as Elasticsearch would
refuse the document that brings the second.
"""

import datetime
import fnmatch
import json
import sys

import yaml

SECTIONS = {"service", "parsers", "pipeline"}
# As the manual of each plugin lists them.
KEYS = {
    "service": {"flush", "log_level", "storage.path"},
    "parsers": {"name", "format", "time_key", "time_format"},
    "systemd": {"name", "tag", "systemd_filter", "db", "strip_underscores", "storage.type"},
    "parser": {"name", "match", "key_name", "parser"},
    "record_modifier": {"name", "match", "record"},
    "es": {
        "name", "match", "host", "port", "http_user", "http_passwd", "tls", "logstash_format", "logstash_prefix",
        "time_key", "time_key_nanos", "suppress_type_name", "generate_id", "retry_limit",
    },
}


def only(keys, of, where):
    assert set(keys) <= KEYS[of], f"{where}: {set(keys) - KEYS[of]}"


def check(config):
    """The parser, by its keys."""
    assert set(config) == SECTIONS, config.keys()
    only(config["service"], "service", "service")
    (parser,) = config["parsers"]
    only(parser, "parsers", "parsers")
    pipeline = config["pipeline"]
    assert set(pipeline) == {"inputs", "filters", "outputs"}
    tags = [of["tag"] for of in pipeline["inputs"]]
    for part in pipeline.values():
        for plugin in part:
            only(plugin, plugin["name"], plugin["name"])
            assert "match" not in plugin or any(fnmatch.fnmatch(tag, plugin["match"]) for tag in tags), plugin
    (source,) = pipeline["inputs"]
    (parsing,) = [of for of in pipeline["filters"] if of["name"] == "parser"]
    # The journal has the line in this field, which begins with no underscore.
    assert parsing["key_name"] == "MESSAGE" and parsing["parser"] == parser["name"]
    assert source["systemd_filter"] == "_SYSTEMD_UNIT=meridian.service"
    assert parser["format"] == "json"
    return parser


def main():
    path, lines = sys.argv[1], [line for line in sys.stdin.read().splitlines() if line]
    with open(path, encoding="utf-8") as file:
        parser = check(yaml.safe_load(file))
    types = {}
    for line in lines:
        record = json.loads(line)
        # %L: fractions of a second.
        time_format = parser["time_format"].replace("%L", "%f")
        datetime.datetime.strptime(record.pop(parser["time_key"]), time_format)
        for key, value in record.items():
            # What the output adds must be free, and a name with a dot is an object to Elasticsearch.
            assert key not in ("@timestamp", "host") and "." not in key, key
            kind = "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__
            assert types.setdefault(key, kind) == kind, f"{key}: {kind} and {types[key]}: {line}"
    messages = {json.loads(line).get("message") for line in lines}
    assert {"transition", "query", "listening"} <= messages, messages
    print(f"fluent-bit: {len(lines)} lines with {len(types)} fields")


main()
