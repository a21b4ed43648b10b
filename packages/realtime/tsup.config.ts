import { packageBuild } from '@cachekit/build';

export default packageBuild();
