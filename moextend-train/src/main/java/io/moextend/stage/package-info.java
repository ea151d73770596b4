/** Training stages as sets of parameter roles. */
@NullMarked
package io.moextend.stage;

import org.jspecify.annotations.NullMarked;
