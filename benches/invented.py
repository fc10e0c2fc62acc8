"""What benchmarks invent for themselves."""

import json


def pipeline(folder, people):
    """Exports of a pipeline that has seen nothing, in which everybody is an athlete: users and runs, as `pipeline import`
    takes them."""
    users = [
        {
            "user_id": f"user-{number:04}",
            "tier": "athlete",
            "pipelines": [{"id": f"pipeline-{number}", "source": "SOURCE_STRAVA", "destinations": ["DESTINATION_SHOWCASE"]}],
        }
        for number in range(people)
    ]
    exports = folder / "users.json", folder / "runs.json"
    exports[0].write_text(json.dumps(users))
    exports[1].write_text("[]")
    return exports
