"""A caller on the Python SDK 0.3: `caller_0_3.py <url>`. Prints what it saw as JSON."""

import asyncio
import json
import sys
import uuid

import httpx
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.types import DataPart, FilePart, FileWithBytes, Message, Part, Role, TaskIdParams, TaskQueryParams, TextPart
from a2a.utils.message import get_message_text

URL = sys.argv[1]


def message(parts, task=None):
    ids = {} if task is None else {'task_id': task[0], 'context_id': task[1]}
    return Message(message_id=str(uuid.uuid4()), role=Role.user, parts=[Part(root=part) for part in parts], **ids)


async def collect(client, request):
    seen = {'states': [], 'text': '', 'parts': [], 'says': None, 'task': None}
    async for task, _ in client.send_message(request):
        seen['task'] = (task.id, task.context_id)
        seen['states'].append(task.status.state.value)
        if task.status.message:
            seen['says'] = get_message_text(task.status.message)
        parts = [part.root for artifact in task.artifacts or [] for part in artifact.parts]
        seen['text'] = ''.join(part.text for part in parts if part.kind == 'text')
        seen['parts'] = [part.model_dump(mode='json', exclude_none=True) for part in parts if part.kind != 'text']
    return seen


async def main():
    async with httpx.AsyncClient(timeout=20) as http:
        card = await A2ACardResolver(http, URL).get_agent_card()
        client = ClientFactory(ClientConfig(httpx_client=http)).create(card)
        results = {'protocol': card.protocol_version}
        results['stream'] = await collect(client, message([TextPart(text='one two three')]))
        file = FileWithBytes(bytes='AP8KDQ==', mime_type='application/x-test', name='a.bin')
        parts = [TextPart(text='echo'), FilePart(file=file), DataPart(data={'a': [1, 'ü']})]
        results['echo'] = await collect(client, message(parts))
        asked = await collect(client, message([TextPart(text='a house')]))
        again = await collect(client, message([TextPart(text='blue')], asked['task']))
        results['ask'] = [asked, again]
        results['get'] = (await client.get_task(TaskQueryParams(id=asked['task'][0]))).status.state.value
        asleep = None
        async for task, _ in client.send_message(message([TextPart(text='sleep')])):
            asleep = task.id
            break
        results['cancel'] = (await client.cancel_task(TaskIdParams(id=asleep))).status.state.value
        print(json.dumps(results))


asyncio.run(asyncio.wait_for(main(), 40))
