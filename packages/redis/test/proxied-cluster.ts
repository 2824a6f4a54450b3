import { type RedisClusterServers, TcpProxy, until } from '@tributary/testkit'

/** Proxies before all servers of a Cluster, which send everybody there: clients find nothing but them. */
export async function proxied(cluster: RedisClusterServers) {
  await using started = new AsyncDisposableStack()
  const proxies: TcpProxy[] = []
  for (const server of cluster.servers) {
    const proxy = started.use(await TcpProxy.start(server.port))
    proxies.push(proxy)
    await server.run('CONFIG', 'SET', 'cluster-announce-port', proxy.port)
  }
  await until('the proxies in the slots', async () => {
    for (const server of cluster.servers) {
      const ports = String(await server.run('CLUSTER', 'SLOTS')).split(',')
      if (cluster.servers.some(({ port }) => ports.includes(String(port)))) return undefined
    }
    return true
  })
  const owned = started.move()
  return {
    proxies,
    url: `redis+cluster://127.0.0.1:${proxies[0]?.port}`,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
