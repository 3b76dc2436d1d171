'use strict'
// Drives the npm client of OpenWhisk; prints one JSON object: the name of each step and what it gave.
const openwhisk = require('openwhisk')

const ow = openwhisk({ apihost: process.env.APIHOST, api_key: process.env.AUTH, namespace: '_' })
const zip = Buffer.from(process.env.ZIP, 'base64')
const source = 'function main(p) { return { reversed: String(p.msg).split("").reverse().join(""), said: p.said } }'
const steps = {
  namespaces: () => ow.namespaces.list(),
  create: () => ow.actions.create({ name: 'reverse', action: source, params: { said: 'bound' }, annotations: { note: 'n' } }),
  again: () => ow.actions.create({ name: 'reverse', action: source }),
  update: () => ow.actions.update({ name: 'reverse', action: source, kind: 'nodejs:20', limits: { timeout: 50000 }, version: '1.2.3' }),
  invoke: () => ow.actions.invoke({ name: 'reverse', blocking: true, result: true, params: { msg: 'abc' } }),
  record: () => ow.actions.invoke({ name: 'reverse', blocking: true, params: { msg: 'abc' } }),
  started: () => ow.actions.invoke({ name: 'reverse', params: { msg: 'abc' } }),
  get: () => ow.actions.get('reverse'),
  nocode: () => ow.actions.get({ name: 'reverse', code: false }),
  zipped: () => ow.actions.create({ name: 'zipped', action: zip }),
  zippedRun: () => ow.actions.invoke({ name: 'zipped', blocking: true, result: true, params: { n: 4 } }),
  rejecting: () => ow.actions.create({ name: 'rejecting', action: 'function main() { return Promise.reject({ code: 7 }) }' }),
  rejected: () => ow.actions.invoke({ name: 'rejecting', blocking: true, result: true }),
  sequence: () => ow.actions.create({ name: 'twice', sequence: ['/_/reverse', '/_/reverse'] }),
  sequenceRun: () => ow.actions.invoke({ name: 'twice', blocking: true, result: true, params: { msg: 'abc' } }),
  list: () => ow.actions.list({ limit: 2, skip: 1 }),
  count: () => ow.actions.list({ count: true }),
  packageUpdate: () => ow.packages.update({ name: 'pkg', package: { parameters: [{ key: 'colour', value: 'green' }] } }),
  packaged: () => ow.actions.update({ name: 'pkg/own', action: 'function main(p) { return p }' }),
  packagedRun: () => ow.actions.invoke({ name: 'pkg/own', blocking: true, result: true }),
  bind: () => ow.packages.update({ name: 'clock', package: { binding: { namespace: 'whisk.system', name: 'alarms' } } }),
  packages: () => ow.packages.list(),
  package: () => ow.packages.get('clock'),
  trigger: () => ow.triggers.create({ name: 'go', trigger: { parameters: [{ key: 'said', value: 'trigger' }] } }),
  unruled: () => ow.triggers.invoke({ name: 'go' }),
  rule: () => ow.rules.create({ name: 'r', action: '/_/reverse', trigger: '/_/go' }),
  fire: () => ow.triggers.invoke({ name: 'go', params: { msg: 'xyz' } }),
  disable: () => ow.rules.disable({ name: 'r' }),
  disabled: () => ow.rules.get({ name: 'r' }),
  enable: () => ow.rules.enable({ name: 'r' }),
  rules: () => ow.rules.list(),
  triggers: () => ow.triggers.list(),
  feed: () => ow.feeds.create({ name: '/whisk.system/alarms/alarm', trigger: 'go', params: { cron: '0 0 1 1 *' } }),
  feedGet: () => ow.feeds.get({ name: '/whisk.system/alarms/alarm', trigger: 'go' }),
  feedUpdate: () => ow.feeds.update({ name: '/whisk.system/alarms/alarm', trigger: 'go', params: { cron: '0 0 2 1 *' } }),
  feedBad: () => ow.feeds.create({ name: '/whisk.system/alarms/alarm', trigger: 'go', params: { cron: 'x' } }),
  feedDelete: () => ow.feeds.delete({ name: '/whisk.system/alarms/alarm', trigger: 'go' }),
  activations: () => ow.activations.list({ limit: 1, name: 'twice' }),
  activation: seen => ow.activations.get({ name: seen.activations[0].activationId }),
  logs: seen => ow.activations.logs({ name: seen.activations[0].activationId }),
  result: seen => ow.activations.result({ name: seen.activations[0].activationId }),
  missing: () => ow.actions.get('missing'),
  unauthorized: () => openwhisk({ apihost: process.env.APIHOST, api_key: process.env.AUTH + 'x' }).actions.list(),
  parallel: () => Promise.all(Array.from({ length: 5 }, (_, n) => ow.actions.invoke({ name: 'reverse', blocking: true, result: true, params: { msg: 'm' + n } }))),
  ruleDelete: () => ow.rules.delete('r'),
  triggerDelete: () => ow.triggers.delete('go'),
  actionDelete: () => ow.actions.delete(['reverse', 'zipped', 'rejecting', 'twice', 'pkg/own']),
  packageDelete: () => ow.packages.delete(['pkg', 'clock'])
}

async function drive () {
  const seen = {}
  for (const [name, step] of Object.entries(steps)) {
    try {
      seen[name] = await step(seen)
    } catch (error) {
      seen[name] = { failed: error.message, status: error.statusCode, error: error.error }
    }
  }
  process.stdout.write(JSON.stringify(seen))
}
drive()
