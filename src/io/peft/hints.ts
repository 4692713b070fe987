/** Of what belongs to another model. */
export const otherModel = 'Is this the model that the adapter was trained on?'

/** Of what PEFT has no words for. */
export const saveOurs = 'Save it with saveAdapter, which takes everything.'
