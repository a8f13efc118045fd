// jose and fast-jwt, asked over standard input: a line `LIBRARY ALGORITHM MILLISECONDS` is answered with the tokens
// verified per second. The first argument is the file that `bench-verify prepare` wrote.
import { createPublicKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { createVerifier } from 'fast-jwt'
import { importJWK, jwtVerify } from 'jose'

const task = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const secret = Buffer.from(task.secret)

const libraries = {
  async jose(algorithm, { token, jwk }) {
    const hmac = () => crypto.subtle.importKey('raw', secret, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify'])
    const key = jwk ? await importJWK(jwk, algorithm) : await hmac()
    const checks = {
      algorithms: [algorithm], issuer: task.issuer, audience: task.audience, requiredClaims: ['exp', 'iss', 'aud'],
    }
    return async () => (await jwtVerify(token, key, checks)).payload
  },
  async 'fast-jwt'(algorithm, { token, jwk }) {
    const key = jwk ? createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' }) : secret
    const verify = createVerifier({
      key, algorithms: [algorithm], allowedIss: task.issuer, allowedAud: task.audience,
      requiredClaims: ['exp', 'iss', 'aud'], cache: false,
    })
    return () => verify(token)
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  const [library, algorithm, milliseconds] = line.split(' ')
  const verify = await libraries[library](algorithm, task.algorithms[algorithm])
  const payload = await verify()
  if (payload.aud !== task.audience) throw new Error(`${library} read ${JSON.stringify(payload)}`)
  // Awaiting what is no promise costs a turn of the loop.
  const isAsync = verify() instanceof Promise
  let count = 0
  const begun = performance.now()
  const end = begun + Number(milliseconds)
  while (performance.now() < end) {
    for (let one = 0; one < 20; one += 1) isAsync ? await verify() : verify()
    count += 20
  }
  console.log((count / (performance.now() - begun)) * 1000)
}
