"""An agent on the Python SDK 1.x: `agent_1.py <origin> <host:port of gRPC>` it is reached at. What it does is what it is told by text."""

import asyncio
import json
import sys

import grpc
from a2a.helpers import new_task_from_user_message, new_text_part
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.request_handlers.grpc_handler import GrpcHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, APIKeySecurityScheme, SecurityScheme
from a2a.types.a2a_pb2_grpc import add_A2AServiceServicer_to_server
from a2a.utils.signing import create_agent_card_signer
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from serving import serve

ORIGIN, GRPC = sys.argv[1:]


class Told(AgentExecutor):
    async def execute(self, context, event_queue):
        if not context.current_task:
            await event_queue.enqueue_event(new_task_from_user_message(context.message))
        task = TaskUpdater(event_queue, context.task_id, context.context_id)
        text = context.get_user_input()
        if text == 'ask':
            await task.requires_input(task.new_agent_message([new_text_part('which colour?')]))
            return
        await task.start_work(task.new_agent_message([new_text_part('thinking')]))
        if text.startswith('count'):
            for at in range(int(text.split()[1])):
                await asyncio.sleep(0.05)
                part = new_text_part(f'{at} ')
                await task.add_artifact([part], artifact_id='answer', name='numbers', append=at > 0)
        elif text == 'sleep':
            await asyncio.sleep(60)
        elif text == 'echo':
            await task.add_artifact(list(context.message.parts), artifact_id='back')
        elif text == 'fail':
            raise RuntimeError('told to fail')
        else:
            await task.add_artifact([new_text_part(f'painted {text}')])
        await task.complete()

    async def cancel(self, context, event_queue):
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


card = AgentCard(
    name='Python agent ü',
    description='Does what it is told',
    version='1.0.0',
    supported_interfaces=[
        AgentInterface(url=f'{ORIGIN}/rpc', protocol_binding='JSONRPC', protocol_version='1.0'),
        AgentInterface(url=f'{ORIGIN}/rest', protocol_binding='HTTP+JSON', protocol_version='1.0'),
        AgentInterface(url=f'{ORIGIN}/rpc', protocol_binding='JSONRPC', protocol_version='0.3'),
        AgentInterface(url=GRPC, protocol_binding='GRPC', protocol_version='1.0'),
    ],
    capabilities=AgentCapabilities(streaming=True, push_notifications=False, extended_agent_card=False),
    security_schemes={'key': SecurityScheme(api_key_security_scheme=APIKeySecurityScheme(name='k', location='header'))},
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


async def start_grpc():
    server = grpc.aio.server()
    add_A2AServiceServicer_to_server(GrpcHandler(handler), server)
    port = server.add_insecure_port('127.0.0.1:0')
    await server.start()
    running.append(server)
    return port


# Servers that nothing refers to stop.
running = []
handler = DefaultRequestHandler(Told(), InMemoryTaskStore(), card)
serve(
    Starlette(
        routes=[
            Route('/keys', keys),
            *create_agent_card_routes(card),
            *create_jsonrpc_routes(handler, '/rpc', enable_v0_3_compat=True),
            *create_rest_routes(handler, path_prefix='/rest'),
        ]
    ),
    start_grpc,
)
