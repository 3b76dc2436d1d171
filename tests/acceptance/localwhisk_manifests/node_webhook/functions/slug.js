function main ({ title = 'Untitled' }) {
  return { slug: title.toLowerCase().replace(/[^a-z0-9]+/g, '-') }
}
