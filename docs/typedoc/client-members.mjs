import { Comment, Converter, ReflectionKind } from 'typedoc';

const documentable = ReflectionKind.Property | ReflectionKind.Method | ReflectionKind.CallSignature;

/**
 * A `...Like` type repeats the part of somebody's client that is used: what its members do is documented there. Every
 * other public member has to say it itself.
 *
 * @param {import('typedoc').Application} app
 */
export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const reflection of project.getReflectionsByKind(documentable)) {
      if (!reflection.hasComment() && isInsideLikeType(reflection)) {
        reflection.comment = new Comment([{ kind: 'text', text: 'As in the client.' }]);
      }
    }
  });
}

/** @param {import('typedoc').Reflection} reflection */
function isInsideLikeType(reflection) {
  for (let at = reflection.parent; at; at = at.parent) {
    if (at.name.endsWith('Like')) return true;
  }
  return false;
}
