import { describe, expectTypeOf, test } from 'vitest'
import { bert, distilbert, freeze, get, key, lora, merge, pipe, prompt, roberta } from '../../src/index.ts'
import type {
  Bert,
  BertClassifier,
  Segments,
  DistilBert,
  Embedding,
  Linear,
  Lora,
  Matrix,
  Prompted,
  RobertaClassifier,
  Table,
  Vector,
} from '../../src/index.ts'

declare const base: Bert
declare const classifier: BertClassifier<'BertClassifier'>

describe('transforms of a BERT are typed', () => {
  test('a LoRA on its queries is in their type, and merge takes it out again', () => {
    const tuned = pipe(base, freeze, lora({ at: '**.query', rank: 2 }))
    const self = tuned.encoder.layer[0]!.attention.self
    expectTypeOf(self.query.weight).toEqualTypeOf<Lora<Matrix<'frozen'>>>()
    expectTypeOf(self.key.weight).toEqualTypeOf<Matrix<'frozen'>>()
    const once = merge(tuned)
    expectTypeOf(once.encoder.layer[0]!.attention.self.query.weight).toEqualTypeOf<Matrix<'frozen'>>()
  })

  test('paths go through the body of a classifier', () => {
    expectTypeOf(get(classifier, 'bert.pooler.dense')).toEqualTypeOf<Linear<Matrix<'trainable'>, Vector<'trainable'>>>()
    const tuned = pipe(classifier, lora({ at: 'bert.encoder.layer.*.output.dense', rank: 2 }))
    expectTypeOf(tuned.bert.encoder.layer[0]!.output.dense.weight).toEqualTypeOf<Lora<Matrix<'trainable'>>>()
    expectTypeOf(tuned.classifier).toEqualTypeOf(classifier.classifier)
    // @ts-expect-error there is no such layer
    pipe(classifier, lora({ at: 'bert.encoder.layer.*.output.lin1', rank: 2 }))
  })

  test('a soft prompt stands before words, not before segments', () => {
    const { embeddings } = pipe(base, prompt({ length: 3 }))
    expectTypeOf(embeddings.word_embeddings).toEqualTypeOf<Prompted<Embedding<Table<'trainable'>>>>()
    expectTypeOf(embeddings.token_type_embeddings).toEqualTypeOf<Segments<Table<'trainable'>>>()
  })

  test('a task has a model', () => {
    expectTypeOf(bert.init({}, key(0))).toEqualTypeOf<Bert>()
    expectTypeOf(distilbert.init({}, key(0))).toEqualTypeOf<DistilBert>()
    expectTypeOf(roberta.init({}, key(0), { task: 'sequence-classification' })).toEqualTypeOf<RobertaClassifier>()
  })
})
