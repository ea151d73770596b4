/** Model configurations as records that check themselves. */
@NullMarked
package io.moextend.config;

import org.jspecify.annotations.NullMarked;
