package io.moextend.data;

import io.moextend.data.ConversationTemplate.Learning;
import io.moextend.data.Sample.Turn;
import io.moextend.text.EncodedText;
import io.moextend.text.ImagePlaces;
import io.moextend.text.ImageSpan;
import io.moextend.text.TextException;
import io.moextend.text.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Samples to rows in one of MoIIE's templates, each image widened to its patches. Learnt are the
 * answers and the sign that ends each. Any number of threads may encode.
 *
 * @param maxLength ids of the longest row, patches counted
 * @see <a href="https://arxiv.org/abs/2508.09779">MoIIE</a>, published bunny/util/data_utils.py
 */
public record ConversationEncoder(
    ImagePlaces places, ConversationTemplate template, int maxLength, OverLength overLength)
    implements RowEncoder {
  /**
   * @throws DataException if nothing says what is learnt of the template, or the tokenizer does not
   *     know the sign that ends its answers
   */
  public ConversationEncoder {
    if (maxLength < 2) {
      throw new DataException("max length=%d: must be at least 2".formatted(maxLength));
    }
    template = template.forTraining();
    if (template.learning() != Learning.CAPTION) {
      template.answerEnd(places.tokenizer());
    }
  }

  /** Id that ends a text: for llama that of its template, whatever the tokenizer's files name. */
  public int end() {
    Tokenizer tokenizer = places.tokenizer();
    return template == ConversationTemplate.LLAMA ? template.answerEnd(tokenizer) : tokenizer.eos();
  }

  @Override
  public int pad() {
    return pad(template, places.tokenizer());
  }

  /** For llama its end; else what the tokenizer names, else its unknown token, else its end. */
  static int pad(ConversationTemplate template, Tokenizer tokenizer) {
    if (template == ConversationTemplate.LLAMA) {
      return template.answerEnd(tokenizer);
    }
    return tokenizer.namesPad() || tokenizer.unk() < 0 ? tokenizer.pad() : tokenizer.unk();
  }

  @Override
  public int answerEnd() {
    return template.learning() == Learning.CAPTION ? -1 : template.answerEnd(places.tokenizer());
  }

  @Override
  public Optional<EncodedSample> encode(Sample sample) {
    String text = text(sample);
    int[] ids = places.encode(text);
    int images = sample.images().size();
    int length = Math.addExact(ids.length, Math.multiplyExact(images, places.slots() - 1));
    if (length > maxLength) {
      switch (overLength) {
        case SKIP -> {
          return Optional.empty();
        }
        case REJECT -> throw OverLength.rejected(sample, length, maxLength);
        case TRUNCATE -> {
          // a row of words is cut before its labels are found, one with images after: as published
          ids = images == 0 ? Arrays.copyOf(ids, maxLength) : ids;
        }
      }
    }
    AnswerLabels.Learnt learnt =
        new AnswerLabels(places, template, end(), pad(), maxLength).of(text, ids);
    return Optional.of(row(sample, ids, learnt));
  }

  private String text(Sample sample) {
    List<Turn> turns = sample.fromFirstQuestion();
    List<String> texts = ConversationPrompt.texts(sample, turns);
    if (template.learning() != Learning.CAPTION) {
      return template.conversation(texts);
    }
    if (turns.size() != 2 || turns.getFirst().images().size() != 1) {
      throw DataException.at(
          sample.where(),
          ("it has %d turns and %d images; the conversation template %s takes one question with one"
                  + " image, and one answer")
              .formatted(turns.size(), sample.images().size(), template.key()),
          null);
    }
    // the question's words are left out: an image and its caption
    return template.conversation(List.of(ImagePlaces.MARK + texts.getLast()));
  }

  private EncodedSample row(Sample sample, int[] ids, AnswerLabels.Learnt learnt) {
    EncodedText wide;
    try {
      wide = places.widen(ids, sample.images());
    } catch (TextException e) {
      throw DataException.at(sample.where(), String.valueOf(e.getMessage()), e);
    }
    int[] labels = places.widen(ids, learnt.labels(), EncodedSample.IGNORED);
    int length = Math.min(maxLength, labels.length);
    List<ImageSpan> kept = new ArrayList<>();
    for (ImageSpan span : wide.spans()) {
      if (span.end() <= length) {
        kept.add(span);
      } else {
        // what stands before half an image learns the same without it
        length = Math.min(length, span.firstSlot());
      }
    }
    if (length == 0) {
      throw DataException.at(
          sample.where(),
          "its image %s takes %d ids and max length is %d; raise max length"
              .formatted(sample.images().getFirst(), places.slots(), maxLength),
          null);
    }
    // a row's own end counts, although it may be the filler's id
    byte[] mask = new byte[length];
    Arrays.fill(mask, (byte) 1);
    return new EncodedSample(
        sample,
        Arrays.copyOf(wide.ids(), length),
        Arrays.copyOf(labels, length),
        mask,
        kept,
        learnt.doubt());
  }
}
