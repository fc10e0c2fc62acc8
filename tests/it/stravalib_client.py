"""stravalib against the emulator: what it parses, as JSON."""

import json
import sys

import stravalib
from stravalib import exc
from stravalib.protocol import ApiV3
from stravalib.util.limiter import DefaultRateLimiter, get_rates_from_response_headers

base, access_token = sys.argv[1:3]
ApiV3.resolve_url = lambda self, url: url if url.startswith("http") else f"{base}/{url.strip('/')}"

seen = []


class Limiter(DefaultRateLimiter):
    def __call__(self, response_headers, method):
        seen.append(get_rates_from_response_headers(response_headers, method))
        super().__call__(response_headers, method)


client = stravalib.Client(access_token=access_token, rate_limiter=Limiter())
athlete = client.get_athlete()
activities = list(client.get_activities())
told = {"athlete": athlete.id, "activities": {}, "more": []}
for activity in activities:
    told["activities"][str(activity.id)] = {
        "name": activity.name,
        "start": activity.start_date.isoformat(),
        "elapsed_s": int(activity.elapsed_time),
        "distance_m": float(activity.distance),
    }
for activity in activities[:5]:
    detail = client.get_activity(activity.id, include_all_efforts=True)
    try:
        streams = client.get_activity_streams(activity.id, types=["time", "heartrate", "latlng"])
    except exc.ObjectNotFound:
        streams = {}
    told["more"].append(
        {
            "id": str(detail.id),
            "laps": len(list(client.get_activity_laps(activity.id))),
            "zones": len(client.get_activity_zones(activity.id)),
            "kudos": len(list(client.get_activity_kudos(activity.id))),
            "comments": len(list(client.get_activity_comments(activity.id))),
            "photos": len(list(client.get_activity_photos(activity.id))),
            "samples": len(streams["time"].data) if "time" in streams else 0,
        }
    )
stats = client.get_athlete_stats(athlete.id)
told["rides"] = stats.all_ride_totals.count
told["gear"] = client.get_gear("b1").name
try:
    client.get_activity(1)
    told["absent"] = "there"
except exc.ObjectNotFound:
    told["absent"] = "not found"
told["rates"] = len([rate for rate in seen if rate is not None])
told["last_rate"] = list(seen[-1]) if seen and seen[-1] else None
client.deauthorize()
try:
    client.get_athlete()
    told["after"] = "let in"
except exc.AccessUnauthorized:
    told["after"] = "refused"
print(json.dumps(told))
