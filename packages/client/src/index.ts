export {
  type Fetch,
  type FetchAnswer,
  type OpenStream,
  type OpenStreamOptions,
  openStream,
  type StreamPart,
} from './open-stream.ts'
export { DEFAULT_MAX_RETRY_MS, DEFAULT_RETRY_MS, type ReadStreamOptions, readStream } from './read-stream.ts'
export { StreamError, type StreamErrorReason } from './stream-error.ts'
