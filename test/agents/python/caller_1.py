"""A caller on the Python SDK 1.x: `caller_1.py <url> <binding> <public key as JWK>`. Prints what it saw as JSON."""

import asyncio
import base64
import json
import sys
import uuid

import httpx
from a2a.client import ClientConfig, create_client
from a2a.helpers import get_artifact_text, get_message_text, new_data_part, new_raw_part, new_text_part
from a2a.types import CancelTaskRequest, GetTaskRequest, Message, Role, SendMessageRequest, TaskState
from a2a.utils.signing import create_signature_verifier
from jwt.api_jwk import PyJWK

URL, BINDING, KEY = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])


def message(parts, task=None):
    ids = {} if task is None else {'task_id': task[0], 'context_id': task[1]}
    return SendMessageRequest(
        message=Message(message_id=str(uuid.uuid4()), role=Role.ROLE_USER, parts=parts, **ids)
    )


async def collect(client, request):
    seen = {'states': [], 'chunks': [], 'parts': [], 'says': None, 'task': None}
    async for update in client.send_message(request):
        kind = update.WhichOneof('payload')
        value = getattr(update, kind)
        if kind == 'task':
            seen['task'] = (value.id, value.context_id)
        if kind in ('task', 'status_update'):
            seen['states'].append(TaskState.Name(value.status.state))
            if value.status.HasField('message'):
                seen['says'] = get_message_text(value.status.message)
        if kind == 'artifact_update':
            seen['chunks'].append(get_artifact_text(value.artifact))
            for part in value.artifact.parts:
                if part.HasField('raw'):
                    raw = base64.b64encode(part.raw).decode()
                    seen['parts'].append([part.filename, part.media_type, raw])
                elif part.HasField('data'):
                    seen['parts'].append('data')
    return seen


async def main():
    verifier = create_signature_verifier(lambda kid, jku: PyJWK.from_dict(KEY), ['ES256'])
    config = ClientConfig(
        httpx_client=httpx.AsyncClient(timeout=20),
        supported_protocol_bindings=[BINDING],
        use_client_preference=True,
    )
    client = await create_client(URL, config, signature_verifier=verifier)
    results = {}
    results['stream'] = await collect(client, message([new_text_part('one two three')]))
    parts = [new_raw_part(bytes([0, 255, 10, 13]), media_type='application/x-test', filename='a.bin')]
    results['echo'] = await collect(client, message([new_text_part('echo'), *parts, new_data_part({'a': [1, 'ü']})]))
    asked = await collect(client, message([new_text_part('a house')]))
    again = await collect(client, message([new_text_part('blue')], asked['task']))
    results['ask'] = [asked, again]
    done = await client.get_task(GetTaskRequest(id=asked['task'][0]))
    results['get'] = TaskState.Name(done.status.state)
    asleep = None
    async for update in client.send_message(message([new_text_part('sleep')])):
        if update.HasField('task'):
            asleep = update.task.id
        if asleep is not None:
            break
    canceled = await client.cancel_task(CancelTaskRequest(id=asleep))
    results['cancel'] = TaskState.Name(canceled.status.state)
    print(json.dumps(results))
    await client.close()


asyncio.run(asyncio.wait_for(main(), 40))
