// In JavaScript, for their own types would bring those of the DOM into every file of this package.
export { encode as encodeAuthJs } from '@auth/core/jwt'
export { encode as encodeNextAuth } from 'next-auth/jwt'
