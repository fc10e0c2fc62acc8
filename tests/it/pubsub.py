"""Google's own client of Pub/Sub, beside the sink: makes a topic, reads it back, or publishes to it.

pubsub.py make TOPIC SUBSCRIPTION | pull SUBSCRIPTION | redeliver SUBSCRIPTION | publish TOPIC FILE [MESSAGES_A_REQUEST]
"""

import base64
import json
import sys
import time

from google.cloud import pubsub_v1


def everything(client, subscription):
    """What was published, until the fake says that there is no more."""
    request = {"subscription": subscription, "max_messages": 500, "return_immediately": True}
    while received := client.pull(request=request, timeout=30).received_messages:
        yield from received


def main(verb: str, *args: str) -> None:
    if verb == "make":
        topic, subscription = args
        pubsub_v1.PublisherClient().create_topic(request={"name": topic})
        pubsub_v1.SubscriberClient().create_subscription(
            request={
                "name": subscription,
                "topic": topic,
                "ack_deadline_seconds": 600,
                "enable_message_ordering": True,
            }
        )
    elif verb == "redeliver":
        # Takes everything and gives it back, as a consumer that dies does: it is delivered once more.
        (subscription,) = args
        client = pubsub_v1.SubscriberClient()
        ids = []
        for each in everything(client, subscription):
            print(base64.b64encode(each.message.data).decode())
            ids.append(each.ack_id)
        client.modify_ack_deadline(
            request={"subscription": subscription, "ack_ids": ids, "ack_deadline_seconds": 0}
        )
    elif verb == "pull":
        (subscription,) = args
        client = pubsub_v1.SubscriberClient()
        received = list(everything(client, subscription))
        if received:
            ids = [each.ack_id for each in received]
            client.acknowledge(request={"subscription": subscription, "ack_ids": ids})
        pulled = [each.message for each in received]
        # The fake numbers what it is given: all of one request have one time.
        pulled.sort(key=lambda message: int(message.message_id.lstrip("m")))
        for message in pulled:
            # The contract has no attributes. The key keeps each user's messages in order.
            user = json.loads(message.data)["data"]["user_id"]
            assert not message.attributes and message.ordering_key == user, message
            print(base64.b64encode(message.data).decode())
    elif verb == "publish":
        topic, file = args[:2]
        with open(file, "rb") as lines:
            messages = [line.rstrip(b"\n") for line in lines]
        if len(args) == 2:
            client, at_once = pubsub_v1.PublisherClient(), len(messages)
        else:
            # As the sink sends them: one a request, and as many at a time as it has under way.
            settings = pubsub_v1.types.BatchSettings(max_messages=int(args[2]))
            client, at_once = pubsub_v1.PublisherClient(batch_settings=settings), 16
        begin = time.monotonic()
        for at in range(0, len(messages), at_once):
            for future in [client.publish(topic, message) for message in messages[at : at + at_once]]:
                future.result()
        print(f"{len(messages)} {time.monotonic() - begin:.3f}")


main(*sys.argv[1:])
