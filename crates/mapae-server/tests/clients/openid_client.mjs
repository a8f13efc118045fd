// openid-client: what it sees of a running Mapae, as one line of JSON.
import * as client from 'openid-client'

const { ISSUER, CLIENT_ID, CLIENT_SECRET, USERNAME, PASSWORD } = process.env
const options = { execute: [client.allowInsecureRequests] }
const discover = (authentication, algorithm = 'oidc', id = CLIENT_ID) =>
  client.discovery(new URL(ISSUER), id, {}, authentication, { ...options, algorithm })
const signIn = (config, parameters = {}) =>
  client.genericGrantRequest(config, 'password', { username: USERNAME, password: PASSWORD, ...parameters })

async function error(promise) {
  const error = await promise.then(() => null, (error) => error)
  return error && [error.constructor.name, error.error ?? error.code]
}

const basic = await discover(client.ClientSecretBasic(CLIENT_SECRET))
const posting = await discover(client.ClientSecretPost(CLIENT_SECRET), 'oauth2')
const unproven = await discover(client.None(), 'oauth2', 'mapae')
const wrongBasic = await discover(client.ClientSecretBasic('wrong'))
const wrongPosting = await discover(client.ClientSecretPost('wrong'))

const opened = await signIn(unproven, { scope: 'me' })
const continued = await client.refreshTokenGrant(unproven, opened.refresh_token)
await client.tokenRevocation(unproven, continued.refresh_token)
const first = await signIn(basic, { scope: 'me items' })
const sub = (await client.tokenIntrospection(basic, first.access_token)).sub
const userInfo = await client.fetchUserInfo(basic, first.access_token, sub)
const foreign = await error(client.refreshTokenGrant(unproven, first.refresh_token))
const second = await client.refreshTokenGrant(posting, first.refresh_token, { scope: 'me' })
const own = await client.clientCredentialsGrant(posting, { scope: 'items' })
const active = await client.tokenIntrospection(posting, second.access_token)
await client.tokenRevocation(basic, second.refresh_token, { token_type_hint: 'refresh_token' })

console.log(JSON.stringify({
  issuer: basic.serverMetadata().issuer,
  public_client: [opened.scope, continued.scope, opened.refresh_token !== continued.refresh_token],
  first,
  user_info: userInfo,
  second,
  client_credentials: own,
  active,
  after: await client.tokenIntrospection(basic, second.access_token),
  errors: {
    'wrong secret': await error(signIn(wrongBasic)),
    'wrong posted secret': await error(signIn(wrongPosting)),
    'ended session of the public client': await error(client.refreshTokenGrant(unproven, continued.refresh_token)),
    'introspection by the public client': await error(client.tokenIntrospection(unproven, continued.access_token)),
    "another client's refresh token": foreign,
    'wrong password': await error(signIn(basic, { password: 'wrong' })),
    'wrong refresh token': await error(client.refreshTokenGrant(basic, 'mr_wrong')),
    'ended session': await error(client.refreshTokenGrant(basic, second.refresh_token)),
    'scope that does not exist': await error(signIn(basic, { scope: 'nothing' })),
    'introspection with a wrong secret': await error(client.tokenIntrospection(wrongPosting, first.access_token)),
    'revocation with a wrong secret': await error(client.tokenRevocation(wrongPosting, first.access_token)),
    'user info of an ended session': await error(client.fetchUserInfo(basic, second.access_token, sub)),
  },
}))
