package io.moextend.data;

import io.moextend.text.EncodedText;
import io.moextend.text.ImageSpan;
import io.moextend.text.ImageTokens;
import io.moextend.text.TextException;
import io.moextend.text.TokenBuffer;
import io.moextend.text.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Samples to rows: {@code <s>}, then for each user turn [INST] text [/INST] and for each assistant
 * turn its text, then {@code </s>}. Learnt are the answers and the closing {@code </s>}. Any number
 * of threads may encode.
 *
 * @param maxLength ids of the longest row
 * @see <a href="https://arxiv.org/abs/2408.03511">MoExtend</a>, published finetune_deepspeed.py,
 *     preprocess()
 */
public record Encoder(
    ImageTokens images, ChatTemplate template, int maxLength, OverLength overLength)
    implements RowEncoder, PromptEncoder {
  public Encoder {
    if (maxLength < 2) {
      throw new DataException("max length=%d: must be at least 2".formatted(maxLength));
    }
    if (images.tokenizer().bos() < 0) {
      throw new DataException(
          images.tokenizer().file() + " has no start token; name one in tokenizer_config.json");
    }
  }

  @Override
  public int pad() {
    return images.tokenizer().pad();
  }

  /** The closing {@code </s>}; answers before the last have nothing behind them. */
  @Override
  public int answerEnd() {
    return images.tokenizer().eos();
  }

  /**
   * @return empty where the sample is too long and such are left out
   * @throws DataException if it is too long, or a cut would go through an image
   */
  @Override
  public Optional<EncodedSample> encode(Sample sample) {
    EncodedSample row = whole(sample);
    if (row.length() <= maxLength) {
      return Optional.of(row);
    }
    return switch (overLength) {
      case SKIP -> Optional.empty();
      case TRUNCATE -> Optional.of(cut(row));
      case REJECT -> throw OverLength.rejected(sample, row.length(), maxLength);
    };
  }

  /**
   * What a model is asked: all turns up to the last of the user, without an end.
   *
   * @return a row of any length
   */
  @Override
  public EncodedText prompt(Sample sample) {
    List<Sample.Turn> turns = sample.turns();
    int last = turns.size() - 1;
    while (turns.get(last).role() != Sample.Role.USER) {
      last--;
    }
    Row row = row(sample, turns.subList(0, last + 1));
    return new EncodedText(row.ids.toArray(), row.spans);
  }

  /**
   * The first turn alone behind {@code <s>}, without [INST]: what the published
   * expert_distribution.py counts routes of.
   *
   * @return a row of any length
   */
  @Override
  public EncodedText firstTurn(Sample sample) {
    EncodedText text = encode(sample, sample.turns().getFirst());
    TokenBuffer ids = new TokenBuffer();
    ids.add(images.tokenizer().bos());
    ids.addAll(text.ids());
    return new EncodedText(
        ids.toArray(), text.spans().stream().map(span -> span.shifted(1)).toList());
  }

  /** The row however long it is. */
  private EncodedSample whole(Sample sample) {
    Tokenizer tokenizer = images.tokenizer();
    Row row = row(sample, sample.turns());
    row.learnt(new int[] {tokenizer.eos()});
    int[] ids = row.ids.toArray();
    byte[] mask = new byte[ids.length];
    for (int t = 0; t < ids.length; t++) {
      mask[t] = (byte) (ids[t] == tokenizer.pad() ? 0 : 1);
    }
    return new EncodedSample(sample, ids, row.labels.toArray(), mask, row.spans);
  }

  private Row row(Sample sample, List<Sample.Turn> turns) {
    Tokenizer tokenizer = images.tokenizer();
    Row row = new Row();
    row.learnt(new int[] {tokenizer.bos()});
    for (Sample.Turn turn : turns) {
      EncodedText text = encode(sample, turn);
      switch (turn.role()) {
        case USER -> {
          row.given(tokenizer.encode(template.beforeUser()));
          for (ImageSpan span : text.spans()) {
            row.spans.add(span.shifted(row.ids.length()));
          }
          row.given(text.ids());
          row.given(tokenizer.encode(template.afterUser()));
        }
        case ASSISTANT -> row.learnt(text.ids());
      }
    }
    return row;
  }

  private EncodedText encode(Sample sample, Sample.Turn turn) {
    try {
      return images.encode(turn.parts());
    } catch (TextException e) {
      throw DataException.at(sample.where(), String.valueOf(e.getMessage()), e);
    }
  }

  private EncodedSample cut(EncodedSample row) {
    List<ImageSpan> kept = new ArrayList<>();
    for (ImageSpan span : row.spans()) {
      if (span.end() < maxLength) {
        kept.add(span);
      } else if (span.start() < maxLength) {
        throw DataException.at(
            row.sample().where(),
            ("max length %d cuts through its image %s at %d to %d; put images first, raise max"
                    + " length, or set over length to skip")
                .formatted(maxLength, span.path(), span.start(), span.end()),
            null);
      }
    }
    return new EncodedSample(
        row.sample(),
        Arrays.copyOf(row.ids(), maxLength),
        Arrays.copyOf(row.labels(), maxLength),
        Arrays.copyOf(row.mask(), maxLength),
        kept);
  }

  private static final class Row {
    private final TokenBuffer ids = new TokenBuffer();
    private final TokenBuffer labels = new TokenBuffer();
    private final List<ImageSpan> spans = new ArrayList<>();

    void given(int[] more) {
      ids.addAll(more);
      labels.repeat(EncodedSample.IGNORED, more.length);
    }

    void learnt(int[] more) {
      ids.addAll(more);
      labels.addAll(more);
    }
  }
}
