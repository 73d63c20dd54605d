"""The original pipeline, written from its documentation: a Kafka consumer that stores each message
with one insert_one and passes it to the WebSocket server over one new connection per message, and
that server, which sends what it gets to everybody else who is connected.

    original.py server PORT
    original.py consumer documented|kinder PORT TOPIC GROUP     (KAFKA_BROKERS, MONGODB_URI)

`kinder` keeps its one connection to the WebSocket server. Both start at the oldest message of the
topic, as a new group does with auto_offset_reset="earliest".
"""

import asyncio
import json
import os
import sys

from kafka import KafkaConsumer
from pymongo import MongoClient
from websockets.asyncio.server import serve
from websockets.sync.client import connect


async def server(port):
    readers = set()

    async def connected(socket):
        readers.add(socket)
        try:
            async for message in socket:
                for reader in list(readers):
                    if reader is not socket:
                        await reader.send(message)
        except Exception:
            pass
        finally:
            readers.discard(socket)

    async with serve(connected, "127.0.0.1", port, compression=None):
        print("ready", flush=True)
        await asyncio.get_running_loop().create_future()


def consumer(kind, port, topic, group):
    url = f"ws://127.0.0.1:{port}"
    collection = MongoClient(os.environ["MONGODB_URI"])[f"original_{group}"]["stock_data"]
    messages = KafkaConsumer(
        topic,
        bootstrap_servers=os.environ["KAFKA_BROKERS"].split(","),
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=True,
        value_deserializer=lambda m: json.loads(m.decode("utf-8")),
    )
    print("ready", flush=True)
    kept = connect(url, compression=None) if kind == "kinder" else None
    for message in messages:
        row = message.value
        text = json.dumps(row)
        collection.insert_one(row)
        if kept:
            kept.send(text)
        else:
            with connect(url, compression=None) as socket:
                socket.send(text)


if __name__ == "__main__":
    if sys.argv[1] == "server":
        asyncio.run(server(int(sys.argv[2])))
    else:
        consumer(sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5])
