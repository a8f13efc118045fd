// jose: what it says about tokens of a running Mapae (the variables TOKEN and REFRESH_TOKEN), as one line of JSON.
import { compactVerify, createRemoteJWKSet, errors, jwtVerify } from 'jose'

const { ISSUER, TOKEN, REFRESH_TOKEN } = process.env
const metadata = await (await fetch(`${ISSUER}/.well-known/openid-configuration`)).json()
const keys = createRemoteJWKSet(new URL(metadata.jwks_uri))
const feed = await (await fetch(`${ISSUER}/.well-known/revocations`)).text()
const verify = (token, changes = {}) =>
  jwtVerify(token, keys, { issuer: ISSUER, audience: ISSUER, typ: 'at+jwt', requiredClaims: ['exp', 'jti'], ...changes })

async function error(promise) {
  const error = await promise.then(() => null, (error) => error)
  return error && [error instanceof errors.JOSEError, error.code]
}

const { payload, protectedHeader } = await verify(TOKEN)
const changed = TOKEN.replace(/.{6}$/, (end) => (end === 'AAAAAA' ? 'BBBBBB' : 'AAAAAA'))

console.log(JSON.stringify({
  issuer: metadata.issuer,
  algorithm: protectedHeader.alg,
  verified: { ...payload, typ: protectedHeader.typ },
  feed_type: (await compactVerify(feed, keys)).protectedHeader.typ,
  errors: {
    'changed signature': await error(verify(changed)),
    'another audience': await error(verify(TOKEN, { audience: 'https://else.example' })),
    'another type': await error(verify(TOKEN, { typ: 'mapae-revocations+jwt' })),
    'refresh token as access token': await error(verify(REFRESH_TOKEN)),
    'the feed as access token': await error(verify(feed)),
    'the feed as any token': await error(jwtVerify(feed, keys)),
  },
}))
