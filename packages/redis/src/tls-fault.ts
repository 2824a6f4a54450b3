const UNKNOWN_AUTHORITY = 'set REDIS_TLS_CA_FILE to the authority that the certificate is of'

/** By the code of the error: what to change. */
const CURES: Readonly<Record<string, string>> = {
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  CERT_HAS_EXPIRED: 'give the server a new one',
  CERT_NOT_YET_VALID: "look at this machine's clock",
  ERR_TLS_CERT_ALTNAME_INVALID: 'write a name that it has into REDIS_URL',
}

/** What OpenSSL says in words of its own, with addresses and line numbers. */
const TOLD: Readonly<Record<string, string>> = {
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    'the server asks for a certificate of ours, and there is none: set its tls-auth-clients to no',
  ERR_SSL_WRONG_VERSION_NUMBER: 'no TLS is spoken at this port: write redis in place of rediss',
}

/** What is wrong with a TLS connection and what to change, for people; undefined where it is another error. */
export function tlsFault(error: Error): string | undefined {
  if (!('code' in error) || typeof error.code !== 'string') return undefined
  if (Object.hasOwn(TOLD, error.code)) return TOLD[error.code]
  const cure = Object.hasOwn(CURES, error.code) ? CURES[error.code] : undefined
  return cure === undefined ? undefined : `${error.message}: ${cure}`
}
