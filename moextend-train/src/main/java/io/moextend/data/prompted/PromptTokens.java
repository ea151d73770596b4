package io.moextend.data.prompted;

import io.moextend.data.DataException;
import io.moextend.text.Tokenizer;
import java.util.Arrays;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Examples to ids, as T0's tasks do it: an input as it is, a target with the end token behind it,
 * both cut at their lengths; so a target that is too long has no end. Ids of a file are taken as
 * they are, and cut. Threads may share it.
 *
 * @param vocabulary of the model; ids are from 1 to below it, 0 pads
 * @param inputLength most ids of an input; 1024 in the original
 * @param targetLength most ids of a target, the end counted; 256 in the original
 */
public record PromptTokens(Tokenizer tokenizer, int vocabulary, int inputLength, int targetLength) {
  /** What an empty target is written as. */
  private static final String NO_LABEL = "<NO LABEL>";

  public PromptTokens {
    if (inputLength < 1 || targetLength < 1) {
      throw new DataException(
          "lengths of %d inputs and %d targets: both must be at least 1"
              .formatted(inputLength, targetLength));
    }
    if (tokenizer.pad() != 0) {
      throw new DataException(
          "%s pads with %d; encoder-decoder models here pad with 0, as T5 does"
              .formatted(tokenizer.file(), tokenizer.pad()));
    }
  }

  /**
   * @return nothing where the input is empty, or the target's ids are: such examples are left out
   * @throws DataException where an id is none of the model's
   */
  public Optional<TokenPair> encode(PromptedExample example) {
    int[] targets = example.targets().ids();
    String text = example.targets().text();
    return pair(
        example,
        targets != null
            ? ids(example, targets, targetLength)
            : answer(text == null || text.isEmpty() ? NO_LABEL : text));
  }

  /** The example with one of its choices in the place of its target. */
  Optional<TokenPair> encode(PromptedExample example, String choice) {
    return pair(example, answer(choice));
  }

  private Optional<TokenPair> pair(PromptedExample example, int[] targets) {
    int[] given = example.inputs().ids();
    int[] inputs =
        given != null
            ? ids(example, given, inputLength)
            : cut(words(example.inputs().text()), inputLength);
    return inputs.length == 0 || targets.length == 0
        ? Optional.empty()
        : Optional.of(new TokenPair(example.where(), inputs, targets));
  }

  private int[] words(@Nullable String text) {
    return text == null || text.isEmpty() ? new int[0] : tokenizer.encode(text);
  }

  private int[] answer(String text) {
    int[] words = words(text);
    int[] ended = Arrays.copyOf(words, words.length + 1);
    ended[words.length] = tokenizer.eos();
    return cut(ended, targetLength);
  }

  private int[] ids(PromptedExample example, int[] ids, int length) {
    for (int id : ids) {
      if (id < 1 || id >= vocabulary) {
        throw new DataException(
            "%s: id %d is none of the model's 1 to %d; was it made with another tokenizer?"
                .formatted(example.where(), id, vocabulary - 1));
      }
    }
    return cut(ids, length);
  }

  private static int[] cut(int[] ids, int length) {
    return ids.length <= length ? ids : Arrays.copyOf(ids, length);
  }
}
