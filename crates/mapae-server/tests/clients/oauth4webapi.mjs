// oauth4webapi: what it sees of a running Mapae, as one line of JSON.
import * as oauth from 'oauth4webapi'

const { ISSUER, CLIENT_ID, CLIENT_SECRET, USERNAME, PASSWORD } = process.env
const insecure = { [oauth.allowInsecureRequests]: true }
const issuer = new URL(ISSUER)
const client = { client_id: CLIENT_ID }
const [basic, post] = [oauth.ClientSecretBasic, oauth.ClientSecretPost]
const discovered = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure })
const as = await oauth.processDiscoveryResponse(issuer, discovered)

async function signIn(authentication, changes = {}) {
  const parameters = new URLSearchParams({ username: USERNAME, password: PASSWORD, ...changes })
  const answer = await oauth.genericTokenEndpointRequest(as, client, authentication, 'password', parameters, insecure)
  return oauth.processGenericTokenEndpointResponse(as, client, answer)
}

async function refresh(authentication, token, additionalParameters = {}) {
  const parameters = { additionalParameters, ...insecure }
  const answer = await oauth.refreshTokenGrantRequest(as, client, authentication, token, parameters)
  return oauth.processRefreshTokenResponse(as, client, answer)
}

async function introspect(authentication, token) {
  const answer = await oauth.introspectionRequest(as, client, authentication, token, insecure)
  return oauth.processIntrospectionResponse(as, client, answer)
}

async function revoke(authentication, token) {
  return oauth.processRevocationResponse(await oauth.revocationRequest(as, client, authentication, token, insecure))
}

function verify(token, audience = ISSUER) {
  const request = new Request('http://api.example/', { headers: { authorization: `Bearer ${token}` } })
  return oauth.validateJwtAccessToken(as, request, audience, insecure)
}

async function error(promise) {
  const error = await promise.then(() => null, (error) => error)
  const challenge = error?.cause?.[0]?.parameters?.error ?? error?.cause?.[0]?.scheme
  return error && [error.constructor.name, error.error ?? challenge ?? error.code]
}

const first = await signIn(basic(CLIENT_SECRET), { scope: 'me items' })
const verified = await verify(first.access_token)
const answer = await oauth.userInfoRequest(as, client, first.access_token, insecure)
const userInfo = await oauth.processUserInfoResponse(as, client, verified.sub, answer)
const second = await refresh(post(CLIENT_SECRET), first.refresh_token, { scope: 'me' })
const own = await oauth.processClientCredentialsResponse(as, client,
  await oauth.clientCredentialsGrantRequest(as, client, post(CLIENT_SECRET), { scope: 'items' }, insecure))
const active = await introspect(basic(CLIENT_SECRET), second.access_token)
await revoke(basic(CLIENT_SECRET), second.refresh_token)
const changed = first.access_token.replace(/.{6}$/, (end) => (end === 'AAAAAA' ? 'BBBBBB' : 'AAAAAA'))

console.log(JSON.stringify({
  issuer: as.issuer,
  first,
  verified,
  user_info: userInfo,
  second,
  client_credentials: own,
  active,
  after: await introspect(basic(CLIENT_SECRET), second.access_token),
  errors: {
    'wrong secret': await error(signIn(basic('wrong'))),
    'wrong posted secret': await error(signIn(post('wrong'))),
    'wrong password': await error(signIn(basic(CLIENT_SECRET), { password: 'wrong' })),
    'wrong refresh token': await error(refresh(basic(CLIENT_SECRET), 'mr_wrong')),
    'ended session': await error(refresh(basic(CLIENT_SECRET), second.refresh_token)),
    'scope that does not exist': await error(signIn(basic(CLIENT_SECRET), { scope: 'nothing' })),
    'introspection with a wrong secret': await error(introspect(post('wrong'), first.access_token)),
    'revocation with a wrong secret': await error(revoke(post('wrong'), first.access_token)),
    'changed signature': await error(verify(changed)),
    'another audience': await error(verify(first.access_token, 'https://else.example')),
    'refresh token as access token': await error(verify(first.refresh_token)),
    'user info of an ended session': await error(oauth.userInfoRequest(as, client, second.access_token, insecure)
      .then((answer) => oauth.processUserInfoResponse(as, client, verified.sub, answer))),
  },
}))
