import type { DisconnectReason } from '@tributary/protocol'

/** Why a stream ended: what its reader was told, or `gone` where the reader left. */
export type StreamEnd = DisconnectReason | 'gone'
