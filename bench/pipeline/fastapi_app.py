"""Kafka to WebSocket readers in FastAPI, as its documentation's connection manager does it.

    KAFKA_BROKERS=… TOPIC=… uvicorn fastapi_app:app --port PORT
"""

import asyncio
import os
import threading

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from kafka import KafkaConsumer

app = FastAPI()


class ConnectionManager:
    def __init__(self):
        self.active = []

    async def connect(self, socket):
        await socket.accept()
        self.active.append(socket)

    def disconnect(self, socket):
        if socket in self.active:
            self.active.remove(socket)

    async def broadcast(self, message):
        for connection in list(self.active):
            try:
                await connection.send_text(message)
            except Exception:
                self.disconnect(connection)


manager = ConnectionManager()


def follow(loop):
    messages = KafkaConsumer(
        os.environ["TOPIC"], bootstrap_servers=os.environ["KAFKA_BROKERS"].split(","),
        auto_offset_reset="latest",
    )
    for message in messages:
        asyncio.run_coroutine_threadsafe(manager.broadcast(message.value.decode()), loop)


@app.on_event("startup")
async def start():
    threading.Thread(target=follow, args=(asyncio.get_running_loop(),), daemon=True).start()


@app.websocket("/live")
async def live(socket: WebSocket):
    await manager.connect(socket)
    try:
        while True:
            await socket.receive_text()
    except WebSocketDisconnect:
        manager.disconnect(socket)
