import { modelsOn } from './models-on.ts'

modelsOn('js')
