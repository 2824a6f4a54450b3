import { NodeDrainAnswer, NodeList, NodeParams } from '@tributary/protocol'
import type { App } from '../app.ts'
import { principalOf } from '../auth/authenticate-requests.ts'
import { NodeOperations, type NodeOperationsOptions } from './node-operations.ts'

const tags = ['cluster']

/** Adds the routes by which an admin sees all nodes, whichever he asks, and drains one. Answers what they do. */
export function addNodes(app: App, options: NodeOperationsOptions): NodeOperations {
  const operations = new NodeOperations(options)
  app.get(
    '/api/cluster/nodes',
    {
      config: { whileDraining: 'serve' },
      schema: {
        tags,
        summary: 'All nodes, and how each is',
        description:
          'Each node is asked. One that does not answer is told as `unreachable`, and goes when its lease ends.',
        response: { 200: NodeList },
      },
    },
    async (_request, reply) => {
      reply.header('cache-control', 'no-store')
      return operations.list()
    },
  )
  app.post(
    '/api/cluster/nodes/:nodeId/drain',
    {
      schema: {
        tags,
        summary: 'Drain a node',
        description:
          'It takes nothing new, sends its readers elsewhere, finishes its runs within `DRAIN_MS`, and its process ' +
          'ends. Answered once it has begun. `node_unreachable`: it may have begun.',
        params: NodeParams,
        response: { 200: NodeDrainAnswer },
      },
    },
    async (request) => {
      const answer = await operations.drain(request.params.nodeId)
      request.log.info({ nodeId: answer.nodeId, by: principalOf(request).userId }, 'node drained')
      return answer
    },
  )
  return operations
}
