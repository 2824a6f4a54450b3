import { existsSync } from 'node:fs'
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findProgram, lastingPort } from '@tributary/testkit'
import { BenchProcess } from '../child-process.ts'

const MODULES = ['/usr/lib/nginx/modules/ngx_nchan_module.so', '/usr/lib64/nginx/modules/ngx_nchan_module.so']
const NGINX = ['/usr/sbin/nginx', '/usr/local/sbin/nginx']

/** Why Nchan cannot run here. */
export function nchanMissing(): string | undefined {
  return findNginx() !== undefined && findModule() !== undefined
    ? undefined
    : 'nginx with libnginx-mod-nchan is not installed'
}

/** An nginx of one worker with the Nchan module, which keeps as many events of a group as the gateway does. */
export async function startNchan(): Promise<BenchProcess> {
  const nginx = findNginx()
  const module = findModule()
  if (nginx === undefined || module === undefined) throw new Error(nchanMissing())
  const port = await lastingPort()
  const prepare = async (folder: string) => {
    // Started by root it is somebody else, who has to reach its temporary files.
    await chmod(folder, 0o755)
    const file = join(folder, 'nginx.conf')
    await writeFile(file, configuration(module, port))
    return [nginx, '-p', folder, '-e', 'stderr', '-c', file]
  }
  return BenchProcess.startSilent(`http://127.0.0.1:${port}`, prepare, 'server')
}

function configuration(module: string, port: number): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${name};`,
  )
  return `
load_module ${module};
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr;
events { worker_connections 16384; }
http {
  access_log off;
  ${paths.join('\n  ')}
  keepalive_requests 1000000000;
  nchan_shared_memory_size 512M;
  server {
    listen 127.0.0.1:${port} backlog=16384;
    location = / { return 204; }
    location = /stream {
      nchan_subscriber eventsource;
      nchan_channel_id bench;
      nchan_subscriber_first_message newest;
    }
    location = /publish {
      nchan_publisher;
      nchan_channel_id bench;
      nchan_message_buffer_length 1000;
      nchan_message_timeout 5m;
    }
  }
}
`
}

function findNginx(): string | undefined {
  return findProgram(['nginx'], NGINX)
}

function findModule(): string | undefined {
  return MODULES.find((path) => existsSync(path))
}
