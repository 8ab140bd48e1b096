/** What the bundler takes besides modules: style sheets for their effect, pictures as their URL. */
declare module '*.css' {}
declare module '*.svg' {
  const url: string
  export default url
}
