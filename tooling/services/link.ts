/** The ways to a server, in the order in which they are tried. */
export const links = ['env', 'path', 'docker', 'embedded', 'download'] as const;

/** One way to a server. */
export type Link = (typeof links)[number];

/** A link that cannot serve here, with the reason for the message; anything else that is thrown is a failure. */
export class LinkUnavailable extends Error {}

/** A server together with a few words on where it comes from, for the line that is printed once. */
export type Found<Server> = Server & { readonly origin: string };
