/**
 * An EHR made of software by others: oidc-provider as its authorization server, and a FHIR server behind a gate.
 *
 * What oidc-provider does not know of SMART is told to it by its own configuration: the discovery document, `aud` as the
 * resource indicator, `launch` and the launch context, `fhirUser`. Nothing of it is changed. Run in the folder that holds
 * node_modules; the argument is a file with the settings below. Each event is a line of JSON on standard output.
 */

import { readFileSync } from 'node:fs';
import http from 'node:http';
import { pathToFileURL } from 'node:url';

const { Provider } = await import(pathToFileURL(`${process.cwd()}/node_modules/oidc-provider/lib/index.js`));
const jose = await import(pathToFileURL(`${process.cwd()}/node_modules/jose/dist/webapi/index.js`));

/** { port, issuer, fhirBases, behind, clients, scopes, resources: { url: { format, ttl } }, user, launches } */
const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const say = (event, more = {}) => process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);

const signingKeys = [];
for (const alg of ['ES384', 'RS256']) {
  const { privateKey } = await jose.generateKeyPair(alg, { extractable: true });
  signingKeys.push({ ...await jose.exportJWK(privateKey), alg, use: 'sig', kid: alg.toLowerCase() });
}
const publicKeys = jose.createLocalJWKSet({
  keys: signingKeys.map(({ d, p, q, dp, dq, qi, ...open }) => open),
});

const provider = new Provider(settings.issuer, {
  clients: settings.clients,
  jwks: { keys: signingKeys },
  scopes: ['openid', 'fhirUser', 'launch', 'launch/patient', 'launch/encounter', 'online_access'],
  claims: { openid: ['sub'], fhirUser: ['fhirUser'] },
  // SMART has fhirUser in the id_token; there is no call to a userinfo endpoint.
  conformIdTokenClaims: false,
  extraParams: ['launch', 'aud'],
  clientAuthMethods: ['private_key_jwt', 'client_secret_basic', 'none'],
  enabledJWA: { clientAuthSigningAlgValues: ['ES384', 'RS384'], idTokenSigningAlgValues: ['ES384', 'RS256'] },
  // A user is named as the FHIR base names them for which the token is.
  findAccount: (ctx, sub, token) => ({
    accountId: sub, claims: () => ({ sub, fhirUser: `${token?.resource ?? settings.fhirBases[0]}/${settings.user}` }),
  }),
  issueRefreshToken: (ctx, client, source) => (
    client.grantTypeAllowed('refresh_token') && source.scopes.has('online_access')
  ),
  rotateRefreshToken: true,
  // Each launch has a context of its own, so no grant of an earlier one is taken up.
  loadExistingGrant: (ctx) => {
    const grantId = ctx.oidc.result?.consent?.grantId;
    return grantId ? ctx.oidc.provider.Grant.find(grantId) : undefined;
  },
  pkce: { required: () => true },
  ttl: { ClientCredentials: 300, AuthorizationCode: 60, IdToken: 300, Interaction: 300, Session: 3600, Grant: 3600, RefreshToken: 3600 },
  cookies: { keys: ['a key of the test'] },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    dPoP: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: (ctx) => ctx.oidc.params?.aud ?? settings.fhirBases[0],
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, resource) => {
        const { format = 'jwt', ttl = 300 } = settings.resources[resource] ?? {};
        return {
          scope: settings.scopes,
          audience: resource,
          accessTokenFormat: format,
          accessTokenTTL: ttl,
          ...(format === 'jwt' ? { jwt: { sign: { alg: 'ES384' } } } : {}),
        };
      },
    },
  },
  // Its guard against fetching from this machine would refuse the key sets of every test.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
});

for (const event of ['authorization.success', 'authorization.error', 'grant.success', 'grant.error', 'grant.revoked',
  'introspection.error', 'server_error']) {
  provider.on(event, (ctx, error) => say(event, {
    client: ctx?.oidc?.client?.clientId, grant: ctx?.oidc?.params?.grant_type, error: error?.error ?? error?.message,
    why: error?.error_detail ?? error?.error_description,
  }));
}

/** Which launch a grant belongs to: an EHR keeps the context beside the session of the user. */
const launched = new Map();

provider.use(async (ctx, next) => {
  await next();
  if (ctx.oidc?.route === 'token' && ctx.body?.access_token) {
    const launch = settings.launches[launched.get(ctx.oidc.entities.Grant?.jti)];
    if (launch) ctx.body = { ...ctx.body, ...launch, need_patient_banner: true };
  }
});

/** The clinician is at work: signed in, and the app is one that the hospital has approved. */
async function interact(request, response) {
  const details = await provider.interactionDetails(request, response);
  const { params } = details;
  const grant = new provider.Grant({ accountId: settings.user, clientId: params.client_id });
  const wanted = params.scope.split(' ');
  grant.addOIDCScope(wanted.join(' '));
  grant.addResourceScope(params.aud, wanted.filter((scope) => settings.scopes.split(' ').includes(scope)).join(' '));
  const grantId = await grant.save();
  launched.set(grantId, params.launch);
  await provider.interactionFinished(
    request, response, { login: { accountId: settings.user }, consent: { grantId } }, { mergeWithLastSubmission: false },
  );
}

function smartConfiguration(response) {
  const { issuer } = settings;
  answer(response, 200, {
    issuer,
    jwks_uri: `${issuer}/jwks`,
    authorization_endpoint: `${issuer}/auth`,
    token_endpoint: `${issuer}/token`,
    introspection_endpoint: `${issuer}/token/introspection`,
    token_endpoint_auth_methods_supported: ['private_key_jwt'],
    token_endpoint_auth_signing_alg_values_supported: ['ES384', 'RS384'],
    grant_types_supported: ['authorization_code', 'client_credentials', 'refresh_token'],
    code_challenge_methods_supported: ['S256'],
    scopes_supported: settings.scopes.split(' '),
    capabilities: ['launch-ehr', 'client-confidential-asymmetric', 'sso-openid-connect', 'context-ehr-patient',
      'context-ehr-encounter', 'permission-v2'],
  });
}

/** Lets through who has a token of this server for this FHIR base, to the FHIR server behind. */
async function gate(request, response, base) {
  try {
    const [, token] = /^Bearer (.+)$/u.exec(request.headers.authorization ?? '') ?? [];
    await jose.jwtVerify(token ?? '', publicKeys, { issuer: settings.issuer, audience: base });
  } catch {
    response.setHeader('WWW-Authenticate', 'Bearer');
    answer(response, 401, {
      resourceType: 'OperationOutcome', issue: [{ severity: 'error', code: 'login' }],
    });
    return;
  }
  const { authorization, host, ...headers } = request.headers;
  const inner = http.request(settings.behind + (settings.issuer + request.url).slice(base.length), { method: request.method, headers });
  inner.on('response', (got) => { response.writeHead(got.statusCode, got.headers); got.pipe(response); });
  inner.on('error', () => answer(response, 503, {}));
  request.pipe(inner);
}

function answer(response, status, body) {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(body));
}

const oauth = provider.callback();
http.createServer((request, response) => {
  const failed = (error) => { say('failed', { error: error.message }); answer(response, 500, {}); };
  const url = settings.issuer + request.url;
  const base = settings.fhirBases.find((one) => url === one || url.startsWith(`${one}/`) || url.startsWith(`${one}?`));
  if (url === `${base}/.well-known/smart-configuration`) smartConfiguration(response);
  else if (base) gate(request, response, base).catch(failed);
  else if (request.url.startsWith('/interaction/')) interact(request, response).catch(failed);
  else oauth(request, response);
}).listen(settings.port, '127.0.0.1', () => say('listening'));
process.on('SIGTERM', () => process.exit(0));
