const { matches } = require('./lib/signature')

async function main (params) {
  const body = Buffer.from(params.__ow_body, 'base64')
  if (!matches(params.secret, body, params.__ow_headers['x-hub-signature-256'])) {
    return { statusCode: 403, body: { problem: 'wrong signature' } }
  }
  const event = await new Promise(resolve => setImmediate(() => resolve(JSON.parse(body))))
  return { body: { repository: event.repository, commits: event.commits.length } }
}

exports.main = main
