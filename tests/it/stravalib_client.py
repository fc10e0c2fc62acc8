"""stravalib against the emulator: what it parses, as JSON."""

import datetime
import json
import sys
from urllib.parse import parse_qs, urlsplit

import requests
import stravalib
from stravalib import exc
from stravalib.protocol import ApiV3
from stravalib.util.limiter import DefaultRateLimiter, get_rates_from_response_headers

base, oauth, access_token = sys.argv[1:4]
told_about = json.loads(sys.argv[4])


def resolve_url(self, url):
    if url.startswith("http"):
        return url.replace("https://www.strava.com/oauth", oauth)
    return f"{base}/{url.strip('/')}"


ApiV3.resolve_url = resolve_url


def outcome(call):
    """What becomes of a call that is to be refused."""
    try:
        call()
    except exc.ObjectNotFound:
        return "not found"
    except exc.RateLimitExceeded:
        return "over the limit"
    except exc.AccessUnauthorized:
        return "refused"
    except exc.Fault as fault:
        return f"HTTP {fault.response.status_code}"
    return "let in"


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
told["absent"] = outcome(lambda: client.get_activity(1))
told["deleted"] = outcome(lambda: client.get_activity(told_about["deleted"]))
told["edited"] = client.get_activity(told_about["edited"]).name
told["not_yet"] = outcome(lambda: client.get_activity_streams(told_about["not_yet"], types=["time"]))
told["then"] = len(client.get_activity_streams(told_about["not_yet"], types=["time"])["time"].data)
coarse = client.get_activity_streams(told_about["not_yet"], types=["time", "latlng"], resolution="low")
told["coarse"] = [sorted(coarse), len(coarse["time"].data)]
told["busy"] = outcome(lambda: client.get_activity(told_about["busy"]))
told["full"] = outcome(lambda: client.get_activity(told_about["full"]))
ahead = datetime.datetime.now() + datetime.timedelta(days=3)
told["ahead"] = outcome(lambda: list(client.get_activities(after=ahead)))
since = activities[49].start_date
told["since"] = [activity.id for activity in client.get_activities(after=since)] == [
    activity.id for activity in reversed(activities[:49])
]
told["rates"] = len([rate for rate in seen if rate is not None])
told["last_rate"] = list(seen[-1]) if seen and seen[-1] else None

client.deauthorize()
told["after"] = outcome(client.get_athlete)

# Codes are good once, and so are refresh tokens.
consent = {"client_id": "longrun", "response_type": "code", "redirect_uri": "http://127.0.0.1/", "scope": "read,activity:read"}
page = requests.get(f"{oauth}/authorize", params=consent, allow_redirects=False)
code = parse_qs(urlsplit(page.headers["location"]).query)["code"][0]
new = stravalib.Client()
app = {"client_id": "longrun", "client_secret": "emulated-secret"}
tokens = new.exchange_code_for_token(**app, code=code)
told["code_again"] = outcome(lambda: new.exchange_code_for_token(**app, code=code))
renewed = new.refresh_access_token(**app, refresh_token=tokens["refresh_token"])
told["rotates"] = renewed["refresh_token"] != tokens["refresh_token"]
told["refresh_again"] = outcome(lambda: new.refresh_access_token(**app, refresh_token=tokens["refresh_token"]))
new.access_token = renewed["access_token"]
told["renewed"] = new.get_athlete().id
told["hidden"] = told_about["hidden"] in [activity.id for activity in new.get_activities()]
revoked = requests.post(f"{oauth}/revoke", auth=tuple(app.values()), data={"token": renewed["refresh_token"]})
told["revoked"] = [revoked.status_code, outcome(new.get_athlete)]
print(json.dumps(told))
