/** Vision towers and projectors. */
@NullMarked
package io.moextend.vision;

import org.jspecify.annotations.NullMarked;
