// SPDX-License-Identifier: MIT
// npm run build: installs what is missing and compiles src/ to dist/.
import { setUp } from "./setup.mjs";

setUp();
