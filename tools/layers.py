"""Dependencies point down only: fails on an arrow that points up or sideways.

Reads ``cargo metadata``. A crate may depend on crates of lower layers; crates of one layer never see each other.
``afresh-testkit`` is for tests: nothing but dev-dependencies may name it.
"""

import json
import subprocess
import sys

LAYERS = [
    {"afresh-core", "afresh-pysource"},
    {"afresh-remote"},
    {
        "afresh-compose",
        "afresh-engine",
        "afresh-store-memory",
        "afresh-store-mongodb",
        "afresh-store-object",
        "afresh-store-redis",
        "afresh-store-sql",
        "afresh-store-sqlite",
        "afresh-testkit",
    },
    {"afresh", "afresh-plan"},
    {"afresh-cli"},
    {"afresh-python"},
]


def main() -> int:
    """Prints every wrong arrow; the number of them decides the exit code."""
    text = subprocess.check_output(
        ["cargo", "metadata", "--format-version", "1", "--no-deps"], text=True
    )
    level = {name: index for index, names in enumerate(LAYERS) for name in names}
    packages = json.loads(text)["packages"]
    wrong = [
        f"{package['name']} is in no layer: add it to tools/layers.py"
        for package in packages
        if package["name"] not in level
    ]
    for package in packages:
        for dependency in package["dependencies"]:
            above, below = package["name"], dependency["name"]
            if below not in level or above not in level:
                continue
            if dependency["kind"] == "dev":
                # Tests may use siblings; they may not make a crate depend on what stands above it.
                if level[below] > max(level[above], 2):
                    wrong.append(f"{above} -> {below} (dev) points up")
            elif below == "afresh-testkit":
                wrong.append(f"{above} -> {below}: the testkit is for dev-dependencies only")
            elif level[below] >= level[above]:
                wrong.append(f"{above} -> {below} does not point down")
    for line in wrong:
        print(line, file=sys.stderr)
    if not wrong:
        print(f"layers: {len(packages)} crates, every arrow points down")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
