// The real npm package oidc-provider with the site's people: whoever logs in is who they say, any password is right.
import * as oidc from 'oidc-provider';

const [port, ...redirectUris] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const groups = { kim: ['ai-team', 'everybody'], boss: ['operators', 'ai-team'], admin: ['ai-team'], seo: ['everybody'] };
const people = {};

const provider = new oidc.Provider(issuer, {
  clients: [{ client_id: 'tuneway', client_secret: 'a secret: of/the client', redirect_uris: redirectUris }],
  cookies: { keys: ['a key of the test'] },
  conformIdTokenClaims: false,
  claims: { openid: ['sub'], profile: ['preferred_username'], email: ['email'], groups: ['groups', 'projects'] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      preferred_username: id,
      groups: people[id] ?? groups[id] ?? [],
      projects: ['roads', 'Not A Project'],
    }),
  }),
});
provider.use(async (ctx, next) => {
  // a person is moved to another group: PUT /people/kim?groups=operators
  if (ctx.method === 'PUT' && ctx.path.startsWith('/people/')) {
    people[ctx.path.slice('/people/'.length)] = ctx.query.groups.split(',');
    ctx.body = 'ok';
    return;
  }
  await next();
});
provider.listen(Number(port), '127.0.0.1');
