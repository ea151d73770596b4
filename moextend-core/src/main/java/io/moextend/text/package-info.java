/** Tokenizers. */
@NullMarked
package io.moextend.text;

import org.jspecify.annotations.NullMarked;
