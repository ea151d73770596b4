/** Tokenizers, and images as runs of tokens inside text. */
@NullMarked
package io.moextend.text;

import org.jspecify.annotations.NullMarked;
