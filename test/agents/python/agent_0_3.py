"""The same agent on the Python SDK 0.3: `agent_0_3.py <origin it is reached at>`."""

import asyncio
import json
import sys

from a2a.server.agent_execution import AgentExecutor
from a2a.server.apps import A2AStarletteApplication
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentSkill, Part, TextPart
from a2a.utils import new_task
from a2a.utils.signing import create_agent_card_signer
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from starlette.responses import JSONResponse
from starlette.routing import Route

from serving import serve

ORIGIN = sys.argv[1]


def text_part(text):
    return Part(root=TextPart(text=text))


class Told(AgentExecutor):
    async def execute(self, context, event_queue):
        if not context.current_task:
            await event_queue.enqueue_event(new_task(context.message))
        task = TaskUpdater(event_queue, context.task_id, context.context_id)
        text = context.get_user_input()
        if text == 'ask':
            await task.requires_input(task.new_agent_message([text_part('which colour?')]), final=True)
            return
        await task.start_work(task.new_agent_message([text_part('thinking')]))
        if text.startswith('count'):
            for at in range(int(text.split()[1])):
                await asyncio.sleep(0.05)
                await task.add_artifact([text_part(f'{at} ')], artifact_id='answer', name='numbers', append=at > 0)
        elif text == 'sleep':
            await asyncio.sleep(60)
        elif text == 'echo':
            await task.add_artifact(list(context.message.parts), artifact_id='back')
        else:
            await task.add_artifact([text_part(f'painted {text}')])
        await task.complete()

    async def cancel(self, context, event_queue):
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


card = AgentCard(
    name='Python agent ü',
    description='Does what it is told',
    version='1.0.0',
    url=f'{ORIGIN}/',
    capabilities=AgentCapabilities(streaming=True, push_notifications=False),
    default_input_modes=['text/plain'],
    default_output_modes=['text/plain'],
    skills=[AgentSkill(id='tell', name='Tell', description='Does it', tags=['test'])],
)
key = ec.generate_private_key(ec.SECP256R1())
header = {'kid': 'key-1', 'alg': 'ES256', 'typ': 'JOSE', 'jku': f'{ORIGIN}/keys'}
create_agent_card_signer(key, header)(card)
jwk = {**json.loads(ECAlgorithm.to_jwk(key.public_key())), 'kid': 'key-1', 'alg': 'ES256'}


async def keys(_):
    return JSONResponse({'keys': [jwk]})


handler = DefaultRequestHandler(agent_executor=Told(), task_store=InMemoryTaskStore())
serve(A2AStarletteApplication(agent_card=card, http_handler=handler).build(routes=[Route('/keys', keys)]))
